//! Circles in what is imported or copied. Whole records are written as they are, so that what was exported can be imported again.

use std::collections::HashMap;

use flipper::__words::circles;
use flipper::FlagRecord;
use flipper::targeting::segment_of;

use crate::failure::Done;
use crate::plan::Plan;
use crate::records::Records;
use crate::session::Session;
use crate::store::Store;
use crate::text::plain;

/// Names the circles that the target gets. `destroy`: flags that only the target has go with the same write.
pub(crate) async fn note(session: &mut Session, target: &Store, source: &Records, plan: &Plan, destroy: bool) -> Done {
    let mut written = Vec::new();
    for index in plan.create.iter().chain(&plan.change) {
        if segment_of(source.name(*index)).is_some() || source.may_need_flags(*index) {
            written.push(source.record(*index)?);
        }
    }
    if written.is_empty() {
        return Ok(());
    }
    let all = target.list().await?;
    let there = all.iter().filter_map(|stored| Some((stored.name.as_str(), stored.record.as_deref().ok()?)));
    let mut records: HashMap<&str, &FlagRecord> = there.collect();
    if destroy {
        for (name, _) in &plan.only_in_target {
            records.remove(name.as_str());
        }
    }
    records.extend(written.iter().map(|record| (record.name(), record)));
    for circle in circles(&records) {
        if written.iter().any(|record| circle.iter().any(|name| name == record.name())) {
            let way: Vec<_> = circle.iter().map(|name| plain(name)).collect();
            session.out.note(format_args!(
                "these need each other in a circle, so flags of it are off, and segments of it hold for no caller: {}",
                way.join(" → ")
            ));
        }
    }
    Ok(())
}
