//! Gradients, losses and probabilities against a plain reference and against finite differences.

use sgd_lib::network::{Architecture, Backprop, DropoutKey, Minibatch, Predictor};

mod reference;

use reference::{Expected, Samples};

const KEY: DropoutKey = DropoutKey { seed: 5, epoch: 1, minibatch: 2 };

/// Several depths and widths, narrower and wider than a vector.
const SHAPES: &[(usize, &[usize], usize)] = &[
    (1, &[], 2),
    (20, &[], 5),
    (20, &[], 17),
    (33, &[5], 3),
    (49, &[16], 10),
    (64, &[100], 47),
    (30, &[7, 19], 4),
    (784, &[130, 20, 9], 26),
];

/// Parameters whose biases matter too.
fn parameters(architecture: &Architecture) -> Vec<f32> {
    let mut parameters = architecture.initial_parameters(3);
    for (index, parameter) in parameters.iter_mut().enumerate() {
        *parameter += 0.05 * (index as f32).sin();
    }
    parameters
}

#[test]
fn as_the_reference() {
    for &(inputs, hidden, outputs) in SHAPES {
        let architecture = Architecture::new(inputs, hidden, outputs).unwrap();
        let parameters = parameters(&architecture);
        let mut backprop = Backprop::new(&architecture, 12, 0.0);
        let mut gradient = vec![f32::NAN; parameters.len()];
        // Mostly blank and mostly not; a full minibatch, smaller ones, and the full one again.
        for (ink, count) in [(30, 12), (95, 12), (30, 1), (95, 9), (0, 3), (30, 12)] {
            let data = Samples::new(&architecture, 40, ink);
            let samples: Vec<u32> = (0..count).map(|index| (index * 7) % 40).collect();
            let minibatch = Minibatch { split: data.split(), samples: &samples };
            let loss_sum = backprop.gradient(&parameters, &minibatch, KEY, &mut gradient);
            let expected = Expected::new(&architecture, &parameters, &data, &samples);
            let shape = format!("{inputs}-{hidden:?}-{outputs} with {count} samples, {ink} % ink");
            assert!((loss_sum - expected.loss_sum).abs() < 1e-4 * expected.loss_sum, "loss of {shape}");
            for (index, (&found, &exact)) in gradient.iter().zip(&expected.gradient).enumerate() {
                assert!((f64::from(found) - exact).abs() < 2e-6, "{found} not {exact} at {index} of {shape}");
            }
        }
    }
}

#[test]
fn as_finite_differences_with_dropout() {
    const STEP: f32 = 1.0 / 128.0;
    for (inputs, hidden, outputs) in [(9, &[][..], 4), (9, &[8], 4), (18, &[9, 7], 3), (6, &[5, 6, 7], 2)] {
        let architecture = Architecture::new(inputs, hidden, outputs).unwrap();
        let mut parameters = parameters(&architecture);
        let data = Samples::new(&architecture, 6, 60);
        let minibatch = Minibatch { split: data.split(), samples: &[0, 1, 2, 3, 4, 5] };
        let mut backprop = Backprop::new(&architecture, 6, 0.3);
        let mut gradient = vec![0.0; parameters.len()];
        let mut unused = gradient.clone();
        backprop.gradient(&parameters, &minibatch, KEY, &mut gradient);
        for index in 0..parameters.len() {
            let at = parameters[index];
            let mut loss = |parameter: f32| {
                parameters[index] = parameter;
                backprop.gradient(&parameters, &minibatch, KEY, &mut unused) / 6.0
            };
            let slope = (loss(at + STEP) - loss(at - STEP)) / f64::from(2.0 * STEP);
            parameters[index] = at;
            let found = f64::from(gradient[index]);
            assert!((found - slope).abs() < 2e-4, "{found} not {slope} at {index} of {hidden:?}");
        }
    }
}

#[test]
fn the_same_key_gives_the_same_bits() {
    let architecture = Architecture::new(49, &[100, 30], 10).unwrap();
    let parameters = parameters(&architecture);
    let data = Samples::new(&architecture, 32, 40);
    let samples: Vec<u32> = (0..32).collect();
    let minibatch = Minibatch { split: data.split(), samples: &samples };
    let gradient = |backprop: &mut Backprop, key| {
        let mut gradient = vec![0.0; parameters.len()];
        let loss = backprop.gradient(&parameters, &minibatch, key, &mut gradient);
        (loss.to_bits(), gradient)
    };
    let mut first = Backprop::new(&architecture, 32, 0.2);
    let expected = gradient(&mut first, KEY);
    for other in [
        DropoutKey { seed: 6, ..KEY },
        DropoutKey { epoch: 2, ..KEY },
        DropoutKey { minibatch: 3, ..KEY },
        // The same numbers, each in another place.
        DropoutKey { seed: 1, epoch: 2, minibatch: 5 },
    ] {
        assert_ne!(gradient(&mut first, other), expected);
    }
    assert_eq!(gradient(&mut first, KEY), expected);
    // Neither the buffers' history nor their size matters.
    assert_eq!(gradient(&mut Backprop::new(&architecture, 50, 0.2), KEY), expected);
}

#[test]
fn an_empty_minibatch_has_no_gradient() {
    let architecture = Architecture::new(9, &[8], 4).unwrap();
    let data = Samples::new(&architecture, 1, 50);
    let mut gradient = vec![1.0; architecture.parameter_count()];
    let minibatch = Minibatch { split: data.split(), samples: &[] };
    let mut backprop = Backprop::new(&architecture, 4, 0.2);
    assert_eq!(backprop.gradient(&parameters(&architecture), &minibatch, KEY, &mut gradient), 0.0);
    assert!(gradient.iter().all(|&g| g == 0.0));
}

#[test]
fn prediction_is_as_the_reference() {
    for &(inputs, hidden, outputs) in SHAPES {
        let architecture = Architecture::new(inputs, hidden, outputs).unwrap();
        let parameters = parameters(&architecture);
        let mut predictor = Predictor::new(&architecture);
        // One image, less and more than a chunk.
        for (count, ink) in [(1, 30), (1, 100), (10, 100), (64, 30), (150, 30), (0, 0)] {
            let data = Samples::new(&architecture, count, ink);
            let samples: Vec<u32> = (0..count as u32).collect();
            let expected = Expected::new(&architecture, &parameters, &data, &samples);
            let found = predictor.evaluate(&parameters, data.split());
            assert_eq!((found.samples, found.correct), (count, expected.correct));
            assert!((found.loss_sum - expected.loss_sum).abs() <= 1e-4 * expected.loss_sum);
            let probabilities = predictor.probabilities(&parameters, data.split().images);
            assert_eq!(probabilities.len(), count * outputs);
            for (&found, &exact) in probabilities.iter().zip(&expected.probabilities) {
                assert!((f64::from(found) - exact).abs() < 2e-6, "{found} not {exact}");
            }
        }
    }
}

#[test]
fn an_evaluation_of_nothing_is_zero() {
    let architecture = Architecture::new(9, &[8], 4).unwrap();
    let data = Samples::new(&architecture, 0, 0);
    let found = Predictor::new(&architecture).evaluate(&parameters(&architecture), data.split());
    assert_eq!((found.samples, found.accuracy(), found.loss()), (0, 0.0, 0.0));
}
