//! Symmetric positive definite matrices, in plain loops: the same bits on every machine, which
//! libraries that choose instructions at run time do not promise.

/// A lower triangular factor L of a matrix L·Lᵀ, by rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cholesky {
    size: usize,
    lower: Vec<f64>,
}

impl Cholesky {
    /// Factors a matrix, of which the lower triangle is read; `None` if it is not positive
    /// definite.
    pub(crate) fn of(mut matrix: Vec<f64>, size: usize) -> Option<Self> {
        assert_eq!(matrix.len(), size * size, "a square matrix");
        for row in 0..size {
            let (above, below) = matrix.split_at_mut(row * size);
            for column in 0..row {
                let other = &above[column * size..=column * size + column];
                let sum = dot(&below[..column], &other[..column]);
                below[column] = (below[column] - sum) / other[column];
            }
            let rest = below[row] - dot(&below[..row], &below[..row]);
            if rest.is_nan() || rest <= 0.0 {
                return None;
            }
            below[row] = rest.sqrt();
        }
        Some(Self {
            size,
            lower: matrix,
        })
    }

    /// Solves L·Lᵀ·x = b.
    pub(crate) fn solve(&self, mut values: Vec<f64>) -> Vec<f64> {
        self.forward(&mut values);
        for row in (0..self.size).rev() {
            values[row] /= self.row(row)[row];
            let value = values[row];
            for (before, factor) in values[..row].iter_mut().zip(self.row(row)) {
                *before -= factor * value;
            }
        }
        values
    }

    /// xᵀ·(L·Lᵀ)⁻¹·x.
    pub(crate) fn quadratic(&self, values: &[f64]) -> f64 {
        let mut scaled = values.to_vec();
        self.forward(&mut scaled);
        dot(&scaled, &scaled)
    }

    /// Diagonal of (L·Lᵀ)⁻¹: the squares of the columns of L⁻¹, which is found row by row.
    pub(crate) fn inverse_diagonal(&self) -> Vec<f64> {
        let size = self.size;
        let mut inverse = vec![0.0; size * size];
        let mut diagonal = vec![0.0; size];
        for row in 0..size {
            let (above, below) = inverse.split_at_mut(row * size);
            let below = &mut below[..=row];
            let factors = self.row(row);
            for (factor, line) in factors[..row].iter().zip(above.chunks_exact(size)) {
                for (entry, other) in below.iter_mut().zip(line) {
                    *entry -= factor * other;
                }
            }
            below[row] = 1.0;
            for (entry, sum) in below.iter_mut().zip(&mut diagonal) {
                *entry /= factors[row];
                *sum += *entry * *entry;
            }
        }
        diagonal
    }

    /// Solves L·x = b in place.
    fn forward(&self, values: &mut [f64]) {
        for row in 0..self.size {
            let sum = dot(&self.row(row)[..row], &values[..row]);
            values[row] = (values[row] - sum) / self.row(row)[row];
        }
    }

    /// L·x.
    pub(crate) fn times(&self, values: &[f64]) -> Vec<f64> {
        (0..self.size)
            .map(|row| dot(&self.row(row)[..=row], &values[..=row]))
            .collect()
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.lower[row * self.size..(row + 1) * self.size]
    }
}

/// A number times itself.
pub(crate) fn square(x: f64) -> f64 {
    x * x
}

/// Sum of products, in four sums side by side.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (a_fours, b_fours) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest: f64 = (a_fours.remainder().iter())
        .zip(b_fours.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a_fours.zip(b_fours) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    (sums[0] + sums[2]) + (sums[1] + sums[3]) + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_solution_solves(entries in prop::collection::vec(-2.0..2.0_f64, 49), values in prop::collection::vec(-5.0..5.0_f64, 7)) {
            let size = 7;
            let rows: Vec<&[f64]> = entries.chunks(size).collect();
            let mut matrix = vec![0.0; size * size];
            for (row, a) in rows.iter().enumerate() {
                for (column, b) in rows.iter().enumerate() {
                    matrix[row * size + column] = dot(a, b) + f64::from(u8::from(row == column));
                }
            }
            let cholesky = Cholesky::of(matrix.clone(), size).expect("positive definite");
            let solution = cholesky.solve(values.clone());
            prop_assert!((cholesky.quadratic(&values) - dot(&values, &solution)).abs() < 1e-8);
            for (axis, variance) in cholesky.inverse_diagonal().into_iter().enumerate() {
                let unit = |at: usize| f64::from(u8::from(at == axis));
                let column = cholesky.solve((0..size).map(unit).collect());
                prop_assert!((variance - column[axis]).abs() < 1e-8);
            }
            for (row, value) in matrix.chunks(size).zip(&values) {
                prop_assert!((dot(row, &solution) - value).abs() < 1e-8);
            }
        }
    }

    #[test]
    fn an_indefinite_matrix_has_no_factor() {
        assert_eq!(Cholesky::of(vec![1.0, 0.0, 2.0, 1.0], 2), None);
    }
}
