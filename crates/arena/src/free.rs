//! The free ranges of a region.

/// Free ranges; no two touch.
#[derive(Debug)]
pub(crate) struct FreeList {
    /// (start, length), sorted: there are few, and most changes are of one in its place.
    ranges: Vec<(u64, u64)>,
    size: u64,
    total: u64,
}

impl FreeList {
    /// Room for so many ranges is always there.
    const KEPT: usize = 16;

    /// Everything from 0 to `size` is free.
    pub(crate) fn new(size: u64) -> FreeList {
        let mut ranges = Vec::with_capacity(FreeList::KEPT);
        ranges.push((0, size));
        FreeList {
            ranges,
            size,
            total: size,
        }
    }

    /// Bytes that are free.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// From here on to the end everything is free.
    pub(crate) fn tail(&self) -> u64 {
        match self.ranges.last() {
            Some((start, len)) if start + len == self.size => *start,
            _ => self.size,
        }
    }

    /// The free ranges, as (start, length).
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.ranges.iter().copied()
    }

    /// Takes the lowest `size` bytes that fit at a multiple of `align`: low, so that the end of
    /// the region can be given back.
    pub(crate) fn take(&mut self, size: u64, align: u64) -> Option<u64> {
        let fits = |(start, len): &(u64, u64)| {
            let at = start.next_multiple_of(align);
            (at.checked_add(size)? <= start + len).then_some(at)
        };
        let mut found = self.ranges.iter().enumerate();
        let (index, at) = found.find_map(|(index, range)| Some((index, fits(range)?)))?;
        let (start, len) = self.ranges[index];
        let before = (start, at - start);
        let after = (at + size, start + len - at - size);
        match (before.1 > 0, after.1 > 0) {
            (true, true) => {
                self.ranges[index] = before;
                self.ranges.insert(index + 1, after);
            }
            (true, false) => self.ranges[index] = before,
            (false, true) => self.ranges[index] = after,
            (false, false) => {
                self.ranges.remove(index);
            }
        }
        self.total -= size;
        Some(at)
    }

    /// Gives a range back that was taken.
    pub(crate) fn give(&mut self, at: u64, size: u64) {
        self.total += size;
        let next = self.ranges.partition_point(|(start, _)| *start < at);
        let end = at + size;
        let joins_before = next > 0 && self.ranges[next - 1].0 + self.ranges[next - 1].1 == at;
        let joins_after = self
            .ranges
            .get(next)
            .is_some_and(|(start, _)| *start == end);
        match (joins_before, joins_after) {
            (true, true) => {
                self.ranges[next - 1].1 += size + self.ranges[next].1;
                self.ranges.remove(next);
                self.shrink();
            }
            (true, false) => self.ranges[next - 1].1 += size,
            (false, true) => self.ranges[next] = (at, size + self.ranges[next].1),
            (false, false) => self.ranges.insert(next, (at, size)),
        }
    }

    /// A time of many ranges leaves no memory behind.
    fn shrink(&mut self) {
        let count = self.ranges.len();
        if self.ranges.capacity() > FreeList::KEPT.max(count * 4) {
            self.ranges.shrink_to(FreeList::KEPT.max(count * 2));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_to_one_range() {
        let mut list = FreeList::new(1 << 20);
        let a = list.take(100, 64).unwrap();
        let b = list.take(4096, 4096).unwrap();
        let c = list.take(64, 64).unwrap();
        assert_eq!((a, b, c), (0, 4096, 128));
        assert_eq!(list.tail(), 8192);
        list.give(b, 4096);
        list.give(a, 100);
        list.give(c, 64);
        assert_eq!(list.iter().collect::<Vec<_>>(), [(0, 1 << 20)]);
        assert_eq!((list.total(), list.tail()), (1 << 20, 0));
        assert_eq!(list.take(u64::MAX, 64), None);
        assert_eq!(list.take((1 << 20) + 1, 64), None);
    }

    /// Against a bitmap: nothing is given out twice, nothing is lost.
    #[test]
    fn random_against_a_bitmap() {
        let mut list = FreeList::new(512);
        let mut used = [false; 512];
        let mut held = Vec::new();
        let mut seed = 1u64;
        let mut next = |n: u64| {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (seed >> 33) % n
        };
        for _ in 0..20_000 {
            if next(2) == 0 {
                let (size, align) = (1 + next(40), 1 << next(5));
                if let Some(at) = list.take(size, align) {
                    assert_eq!(at % align, 0);
                    for bit in &mut used[at as usize..(at + size) as usize] {
                        assert!(!*bit);
                        *bit = true;
                    }
                    held.push((at, size));
                }
            } else if !held.is_empty() {
                let (at, size) = held.swap_remove(next(held.len() as u64) as usize);
                used[at as usize..(at + size) as usize].fill(false);
                list.give(at, size);
            }
            assert_eq!(
                list.total(),
                used.iter().filter(|bit| !**bit).count() as u64
            );
        }
    }
}
