//! A few numbers that are read together without a lock, and written by one writer at a time.

use std::sync::atomic::{AtomicU64, Ordering, fence};

pub(super) struct Cell<const N: usize> {
    /// Odd while the numbers are written.
    sequence: AtomicU64,
    numbers: [AtomicU64; N],
}

impl<const N: usize> Cell<N> {
    pub(super) const fn new() -> Self {
        Self { sequence: AtomicU64::new(0), numbers: [const { AtomicU64::new(0) }; N] }
    }

    pub(super) fn set(&self, numbers: [u64; N]) {
        let before = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(before + 1, Ordering::Relaxed);
        // A reader that sees a number from below sees that it is being written.
        fence(Ordering::Release);
        for (cell, number) in self.numbers.iter().zip(numbers) {
            cell.store(number, Ordering::Relaxed);
        }
        self.sequence.store(before + 2, Ordering::Release);
    }

    /// `None` while they are written.
    #[inline(always)]
    pub(super) fn get(&self) -> Option<[u64; N]> {
        let before = self.sequence.load(Ordering::Acquire);
        let numbers = std::array::from_fn(|at| self.numbers[at].load(Ordering::Relaxed));
        // After the numbers.
        fence(Ordering::Acquire);
        (before.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == before).then_some(numbers)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    #[test]
    fn a_reader_sees_all_numbers_of_one_write() {
        let cell = Cell::<5>::new();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let (mut last, mut read) = (0, 0);
                while !done.load(Ordering::Relaxed) || read == 0 {
                    if let Some(numbers) = cell.get() {
                        assert_eq!(numbers, [numbers[0]; 5]);
                        assert!(numbers[0] >= last);
                        (last, read) = (numbers[0], read + 1);
                    }
                }
            });
            (1..=200_000).for_each(|number| cell.set([number; 5]));
            done.store(true, Ordering::Relaxed);
            reader.join().unwrap();
        });
        assert_eq!(cell.get(), Some([200_000; 5]));
    }
}
