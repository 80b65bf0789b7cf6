/// The most similar known name, if one is similar enough to be a typing error.
pub(crate) fn like<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    // One typing error per four characters.
    let most = (wanted.chars().count() / 4).clamp(1, 4);
    let distance = |known: &&str| strsim::damerau_levenshtein(&wanted, &known.to_lowercase());
    known
        .into_iter()
        .filter(|known| known.len().abs_diff(name.len()) <= 4 * most)
        .min_by_key(distance)
        .filter(|nearest| distance(nearest) <= most)
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn only_typing_errors_match() {
        let known = ["NEW_CHECKOUT", "OLD_CHECKOUT", "HORSES"];
        assert_eq!(like("NEW_CHEKOUT", known), Some("NEW_CHECKOUT"));
        assert_eq!(like("new_checkout", known), Some("NEW_CHECKOUT"));
        assert_eq!(like("HORSE", known), Some("HORSES"));
        assert_eq!(like("PAYMENTS", known), None);
        assert_eq!(like("X", []), None);
    }
}
