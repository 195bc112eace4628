//! Which module needs which, and in what order they are to be loaded.

use std::collections::BTreeSet;

/// The dependencies of modules, by number.
#[derive(Debug)]
pub(crate) struct Deps {
    /// The modules each needs itself, in the order in which it first asks for them.
    direct: Vec<Vec<u32>>,
    /// When each is to be loaded, from the last to the first.
    rank: Vec<u32>,
}

impl Deps {
    /// Orders the modules. `Err`: the modules of each group need each other in a circle; the rest
    /// is ordered all the same.
    pub(crate) fn new(direct: Vec<Vec<u32>>) -> (Deps, Vec<Vec<u32>>) {
        let count = direct.len();
        let mut users = vec![0u32; count];
        for dep in direct.iter().flatten() {
            users[*dep as usize] += 1;
        }
        let mut ready: Vec<u32> = (0..count as u32)
            .filter(|module| users[*module as usize] == 0)
            .collect();
        let mut rank = vec![u32::MAX; count];
        let mut next = 0;
        while let Some(module) = ready.pop() {
            rank[module as usize] = next;
            next += 1;
            for dep in &direct[module as usize] {
                users[*dep as usize] -= 1;
                if users[*dep as usize] == 0 {
                    ready.push(*dep);
                }
            }
        }
        let left: Vec<u32> = (0..count as u32)
            .filter(|module| rank[*module as usize] == u32::MAX)
            .collect();
        let circles = circles(&direct, &left);
        (Deps { direct, rank }, circles)
    }

    /// Everything a module needs, itself or through others, in the order in which depmod lists
    /// it: the last is to be loaded first.
    pub(crate) fn all(&self, module: u32) -> Vec<u32> {
        let mut seen = BTreeSet::new();
        let mut queue = vec![module];
        while let Some(next) = queue.pop() {
            for dep in &self.direct[next as usize] {
                if *dep != module && seen.insert(*dep) {
                    queue.push(*dep);
                }
            }
        }
        let mut list: Vec<u32> = seen.into_iter().collect();
        list.sort_by_key(|dep| self.rank[*dep as usize]);
        list
    }
}

/// The circles among modules that could not be ordered: of each group that need each other, in
/// the order of need.
fn circles(direct: &[Vec<u32>], left: &[u32]) -> Vec<Vec<u32>> {
    let mut found = Vec::new();
    let mut done: BTreeSet<u32> = (0..direct.len() as u32).collect();
    for module in left {
        done.remove(module);
    }
    let mut on_path = vec![false; direct.len()];
    for start in left {
        // A path that is followed until it meets itself, or what is known already.
        let mut path: Vec<u32> = Vec::new();
        let mut next = vec![(*start, 0usize)];
        while let Some((module, at)) = next.pop() {
            if at == 0 {
                if on_path[module as usize] {
                    let begin = path.iter().position(|m| *m == module).unwrap_or(0);
                    found.push(path[begin..].to_vec());
                    continue;
                }
                if done.contains(&module) {
                    continue;
                }
                path.push(module);
                on_path[module as usize] = true;
            }
            match direct[module as usize].get(at) {
                Some(dep) => {
                    next.push((module, at + 1));
                    next.push((*dep, 0));
                }
                None => {
                    path.pop();
                    on_path[module as usize] = false;
                    done.insert(module);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_comes_after_its_users() {
        // 0 needs 1 and 2, 1 needs 3, 2 needs 3.
        let (deps, circles) = Deps::new(vec![vec![1, 2], vec![3], vec![3], vec![]]);
        assert!(circles.is_empty());
        assert_eq!(deps.all(0), [2, 1, 3]);
        assert_eq!(deps.all(1), [3]);
        assert!(deps.all(3).is_empty());
    }

    #[test]
    fn circles_are_found_and_the_rest_is_ordered() {
        let (deps, circles) = Deps::new(vec![vec![1], vec![2], vec![1], vec![4], vec![]]);
        assert_eq!(circles, [vec![1, 2]]);
        assert_eq!(deps.all(3), [4]);
        assert_eq!(deps.all(1), [2]);
        let (_, circles) = Deps::new(vec![vec![0]]);
        assert_eq!(circles, [vec![0]]);
    }

    /// A chain as long as a tree has modules takes no stack.
    #[test]
    fn long_chains() {
        let count = 200_000;
        let direct = (1..=count).map(|n| vec![n % count]).collect();
        let (_, circles) = Deps::new(direct);
        assert_eq!(circles.len(), 1);
        assert_eq!(circles[0].len(), count as usize);
    }
}
