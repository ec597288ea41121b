//! Dense products, activation and softmax: the arithmetic, and the only unsafe code.
