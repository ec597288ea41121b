//! Every optimizer learns to tell a few simple classes apart.

use sgd_lib::dataset::Split;
use sgd_lib::network::{Architecture, Backprop, DropoutKey, Minibatch, Predictor};
use sgd_lib::optimizer::{LearningRateSchedule, OptimizerKind};

const PIXELS: usize = 36;
const CLASSES: usize = 4;

/// Images whose class is the nine pixels that are bright; all have some noise.
fn blobs(count: usize) -> (Vec<u8>, Vec<u8>) {
    let labels: Vec<u8> = (0..count).map(|index| (index % CLASSES) as u8).collect();
    let pixel = |index: usize| {
        let (sample, pixel) = (index / PIXELS, index % PIXELS);
        let noise = (index.wrapping_mul(2_654_435_761) >> 7) as u8 % 100;
        if pixel / 9 == sample % CLASSES { 100 + noise } else { noise.saturating_sub(50) }
    };
    ((0..count * PIXELS).map(pixel).collect(), labels)
}

#[test]
fn every_optimizer_learns() {
    const EPOCHS: u32 = 5;
    let (images, labels) = blobs(400);
    let split = Split { images: &images, labels: &labels, pixels: PIXELS };
    // A multiplier prime to the count visits every sample once.
    let order: Vec<u32> = (0..400).map(|index| index * 237 % 400).collect();
    for (kind, rate) in
        [(OptimizerKind::Sgd, 0.3), (OptimizerKind::Momentum, 0.03), (OptimizerKind::Adagrad, 0.03)]
    {
        for hidden in [&[][..], &[20], &[20, 12]] {
            let architecture = Architecture::new(PIXELS, hidden, CLASSES).unwrap();
            let mut parameters = architecture.initial_parameters(1);
            let mut gradient = vec![0.0; parameters.len()];
            let mut backprop = Backprop::new(&architecture, 32, 0.2);
            let mut optimizer = kind.build(parameters.len());
            let mut predictor = Predictor::new(&architecture);
            let before = predictor.evaluate(&parameters, split);
            for epoch in 0..EPOCHS {
                let progress = f64::from(epoch) / f64::from(EPOCHS);
                let rate = LearningRateSchedule::Linear.rate(rate, progress);
                for (minibatch, samples) in (0..).zip(order.chunks(32)) {
                    let key = DropoutKey { seed: 1, epoch, minibatch };
                    backprop.gradient(&parameters, &Minibatch { split, samples }, key, &mut gradient);
                    optimizer.step(rate, &gradient, &mut parameters);
                }
            }
            let after = predictor.evaluate(&parameters, split);
            assert!(after.loss() < 0.3 * before.loss(), "{kind}, {hidden:?}: {before:?} {after:?}");
            assert!(after.accuracy() > 0.98, "{kind}, {hidden:?}: {after:?}");
        }
    }
}
