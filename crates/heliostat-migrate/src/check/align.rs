//! Which item of a list stands where after some were taken out: the pairing in which the fewest words differ.

use serde_json::Value;

/// Pairs of two lists that are weighed at most; longer lists are paired as far as they are the same.
const PAIRS_MAX: usize = 1 << 20;

/// For each item of `before` its place in `after`, in order; `None` for one that went.
pub(super) fn pairs(before: &[Value], after: &[Value]) -> Vec<Option<usize>> {
    let same = |(a, b): &(&Value, &Value)| a == b;
    let head = before.iter().zip(after).take_while(same).count();
    let (rest_before, rest_after) = (&before[head..], &after[head..]);
    let tail = rest_before
        .iter()
        .rev()
        .zip(rest_after.iter().rev())
        .take_while(same)
        .count();
    let middle_before = &rest_before[..rest_before.len() - tail];
    let middle_after = &rest_after[..rest_after.len() - tail];
    let middle = weighed(middle_before, middle_after);
    let start = head + middle_after.len();
    (0..head)
        .map(Some)
        .chain(
            middle
                .into_iter()
                .map(|place| place.map(|place| head + place)),
        )
        .chain((start..start + tail).map(Some))
        .collect()
}

/// The cheapest pairing, where an item that goes costs its words and one that changes the words that differ.
fn weighed(before: &[Value], after: &[Value]) -> Vec<Option<usize>> {
    let width = after.len() + 1;
    if before.len().saturating_mul(width) > PAIRS_MAX {
        return (0..before.len())
            .map(|index| (index < after.len()).then_some(index))
            .collect();
    }
    let before_words: Vec<Vec<String>> = before.iter().map(words).collect();
    let after_words: Vec<Vec<String>> = after.iter().map(words).collect();
    // costs[i * width + j]: what the items from i and j on cost.
    let mut costs = vec![0_usize; (before.len() + 1) * width];
    for j in (0..after.len()).rev() {
        let place = before.len() * width + j;
        costs[place] = costs[place + 1] + 1000;
    }
    let pair = |i: usize, j: usize| 1 + differing(&before_words[i], &after_words[j]);
    for i in (0..before.len()).rev() {
        for j in (0..width).rev() {
            let gone = costs[(i + 1) * width + j] + 1 + before_words[i].len();
            let stays = (j < after.len()).then(|| costs[(i + 1) * width + j + 1] + pair(i, j));
            let comes = (j < after.len()).then(|| costs[i * width + j + 1] + 1000);
            costs[i * width + j] = [Some(gone), stays, comes]
                .into_iter()
                .flatten()
                .min()
                .unwrap_or(gone);
        }
    }
    let mut j = 0;
    let mut places = Vec::with_capacity(before.len());
    for i in 0..before.len() {
        let cost = costs[i * width + j];
        while j < after.len()
            && costs[i * width + j + 1] + 1000 == costs[i * width + j]
            && cost >= 1000
        {
            j += 1;
        }
        let stays =
            j < after.len() && costs[(i + 1) * width + j + 1] + pair(i, j) == costs[i * width + j];
        places.push(stays.then_some(j));
        j += usize::from(stays);
    }
    places
}

fn words(value: &Value) -> Vec<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let between = |character: char| !character.is_alphanumeric() && !"._-".contains(character);
    let mut words: Vec<String> = text
        .split(between)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    words.sort_unstable();
    words
}

/// How many words only one of two sorted lists has.
fn differing(a: &[String], b: &[String]) -> usize {
    let (mut i, mut j, mut same) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => (i, j, same) = (i + 1, j + 1, same + 1),
        }
    }
    a.len() + b.len() - 2 * same
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_stays_is_paired_with_what_it_was() {
        for (before, after, expected) in [
            (
                json!(["-i A/simple", "--trusted-host A", "x"]),
                json!(["-i B/simple", "x"]),
                vec![Some(0), None, Some(1)],
            ),
            (
                json!(["t A", "-i A", "t A", "y", "f A/x"]),
                json!(["-i B", "y", "f B/x"]),
                vec![None, Some(0), None, Some(1), Some(2)],
            ),
            (json!(["a", "b"]), json!([]), vec![None, None]),
            (json!(["a"]), json!(["b", "a"]), vec![Some(1)]),
        ] {
            let (before, after) = (before.as_array().unwrap(), after.as_array().unwrap());
            assert_eq!(pairs(before, after), expected, "{before:?}");
        }
    }
}
