//! What stores share for `stream` and `put_all`.

use std::pin::Pin;

use futures_util::stream::{self, Stream, TryStreamExt};

use super::FeatureFlagStore;
use crate::error::{Error, ErrorKind, Result};
use crate::record::FlagRecord;
use crate::state::{Stored, Version};

/// The flags of [`FeatureFlagStore::stream`].
pub type FlagStream<'a> = Pin<Box<dyn Stream<Item = Result<Stored>> + Send + 'a>>;

pub(crate) fn whole<S: FeatureFlagStore + ?Sized>(store: &S) -> FlagStream<'_> {
    pages((), move |()| async move { Ok((store.list().await?, None)) })
}

/// A stream of pages: `read` returns a page and the argument for the next, if there is one.
pub(crate) fn pages<'a, P: Send + 'a, F>(first: P, read: impl Fn(P) -> F + Send + 'a) -> FlagStream<'a>
where
    F: Future<Output = Result<(Vec<Stored>, Option<P>)>> + Send + 'a,
{
    let pages = stream::try_unfold(Some((first, read)), |next| async move {
        let Some((at, read)) = next else { return Ok::<_, Error>(None) };
        let (flags, next): (Vec<Stored>, Option<P>) = read(at).await?;
        Ok(Some((stream::iter(flags.into_iter().map(Ok)), next.map(|at| (at, read)))))
    });
    Box::pin(pages.try_flatten())
}

/// After an `Unavailable` the remaining writes get the same error; returns whether they did.
pub(crate) fn give_up(results: &mut Vec<Result<Version>>, records: &[FlagRecord]) -> bool {
    let Some(Err(error)) = results.last().filter(|_| results.len() < records.len()) else { return false };
    if error.kind() != ErrorKind::Unavailable {
        return false;
    }
    let error = error.copy();
    results.extend(records[results.len()..].iter().map(|record| Err(error.copy().with_flag(record.name()))));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_the_result_of_all_that_are_left() {
        let records = ["A", "B", "C"].map(|name| FlagRecord::new(name, 0));
        for (kind, ends) in [(ErrorKind::Unavailable, true), (ErrorKind::Conflict, false)] {
            let error = Error::new(kind).with_store("Store").with_flag("B");
            let mut results = vec![Ok(Version::ordered(1)), Err(error)];
            assert_eq!(give_up(&mut results, &records), ends);
            assert_eq!(results.len(), if ends { 3 } else { 2 });
        }
        let mut results = vec![Ok(Version::ordered(1)), Err(Error::new(ErrorKind::Unavailable).with_store("Store"))];
        give_up(&mut results, &records);
        let last = results.pop().and_then(Result::err).unwrap();
        assert_eq!(last.to_string(), "store is unavailable: flag \"C\" in Store");
        assert!(!give_up(&mut vec![Err(last)], &records[..1]), "none is left");
    }
}
