//! What a gradient does to the parameters: SGD, momentum, Adagrad, learning-rate schedules.
