//! What the original experiments published: EMNIST ByMerge to 75 %, OpenFaaS and Redis on three machines,
//! nFetch 10, mean of five rounds.

use platform::settings::Settings;

/// What they trained: all of it, 731,668 images.
pub(crate) const DATASET: &str = "emnist-bymerge";

const BATCH_SIZES: [usize; 4] = [16, 32, 64, 128];
/// Seconds by workers, for each of those batch sizes.
const SECONDS: [(usize, [f64; 4]); 3] = [
    (1, [601.0, 675.0, 1278.0, 2869.0]),
    (3, [291.0, 774.0, 2450.0, 4142.0]),
    (6, [542.0, 1422.0, 2397.0, 4593.0]),
];
const N_FETCH: usize = 10;
const TARGET: f64 = 0.75;

/// The mean time in seconds that was published for such a configuration.
pub(crate) fn seconds(settings: &Settings) -> Option<f64> {
    let same = settings.n_fetch == N_FETCH && settings.target_accuracy == Some(TARGET);
    let (_, seconds) =
        SECONDS.iter().find(|(workers, _)| same && Some(*workers) == settings.workers.fixed())?;
    let batch_size = BATCH_SIZES.iter().position(|size| *size == settings.batch_size)?;
    Some(seconds[batch_size])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_published_is_compared() {
        let seconds = |body: &str| seconds(&Settings::default().overridden_by_json(body.as_bytes()).unwrap());
        let published = r#"{"number_of_workers": 6, "batch_size": 64, "target_accuracy": 0.75}"#;
        assert_eq!(seconds(published), Some(2397.0));
        assert_eq!(seconds(&published.replace('6', "2")), None);
        assert_eq!(seconds(&published.replace("0.75", "0.8")), None);
        assert_eq!(seconds(&published.replace('}', r#", "n_fetch": 1}"#)), None);
    }
}
