//! Numbered places for rows, allocated in chunks. Growth moves no row.

/// The number of places per chunk.
const CHUNK: usize = 128;

/// The number of a place. A shard with more rows than it can number does not fit into memory.
pub(super) type Slot = u32;

/// Values in numbered places. The number of a value never changes.
pub(super) struct Slots<T> {
    chunks: Vec<Chunk<T>>,
    /// The numbers of the chunks with room, each once.
    roomy: Vec<usize>,
}

struct Chunk<T> {
    places: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), roomy: Vec::new() }
    }
}

impl<T> Slots<T> {
    pub(super) fn get(&self, slot: Slot) -> Option<&T> {
        let slot = slot as usize;
        self.chunks.get(slot / CHUNK)?.places.get(slot % CHUNK)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        let slot = slot as usize;
        self.chunks.get_mut(slot / CHUNK)?.places.get_mut(slot % CHUNK)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.places.iter().flatten())
    }

    /// Fills a free place, and returns its number.
    pub(super) fn put(&mut self, value: T) -> Slot {
        let number = self.roomy.last().copied().unwrap_or(self.chunks.len());
        if number == self.chunks.len() {
            self.chunks.push(Chunk { places: Vec::new(), free: Vec::new() });
            self.roomy.push(number);
        }
        // The lines above ensure that this chunk exists.
        let Some(chunk) = self.chunks.get_mut(number) else { return Slot::MAX };
        let place = chunk.put(value);
        if !chunk.has_room() {
            self.roomy.pop();
        }
        Slot::try_from(number * CHUNK + place).unwrap_or(Slot::MAX)
    }

    /// Empties a place. The memory of an empty chunk is freed.
    pub(super) fn take(&mut self, slot: Slot) -> Option<T> {
        let slot = slot as usize;
        let number = slot / CHUNK;
        let chunk = self.chunks.get_mut(number)?;
        let had_room = chunk.has_room();
        let taken = chunk.take(slot % CHUNK)?;
        if !had_room {
            self.roomy.push(number);
        }
        Some(taken)
    }
}

impl<T> Chunk<T> {
    fn has_room(&self) -> bool {
        self.places.len() < CHUNK || !self.free.is_empty()
    }

    fn put(&mut self, value: T) -> usize {
        if let Some(place) = self.free.pop()
            && let Some(free) = self.places.get_mut(place)
        {
            *free = Some(value);
            return place;
        }
        if self.places.is_empty() {
            self.places.reserve_exact(CHUNK);
        }
        self.places.push(Some(value));
        self.places.len() - 1
    }

    fn take(&mut self, place: usize) -> Option<T> {
        let taken = self.places.get_mut(place)?.take()?;
        self.free.push(place);
        if self.free.len() == self.places.len() {
            *self = Self { places: Vec::new(), free: Vec::new() };
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_value_stays_in_its_place_and_places_are_used_again() {
        let mut slots = Slots::default();
        let mut placed = HashMap::new();
        for round in 0..10 {
            for value in 0..1_000 {
                placed.insert(slots.put((round, value)), (round, value));
            }
            let leaving: Vec<_> =
                placed.keys().copied().filter(|slot| (slot + round) % 3 > 0).collect();
            for slot in leaving {
                assert_eq!(slots.take(slot), placed.remove(&slot));
                assert_eq!(slots.take(slot), None);
            }
            assert_eq!(slots.iter().count(), placed.len());
            assert!(placed.iter().all(|(slot, value)| slots.get(*slot) == Some(value)));
        }
        assert!(slots.chunks.len() < 20, "{} chunks", slots.chunks.len());
    }

    #[test]
    fn an_empty_chunk_takes_no_memory() {
        let mut slots = Slots::default();
        let all: Vec<_> = (0..1_000).map(|value| slots.put(value)).collect();
        for slot in all {
            slots.take(slot);
        }
        assert!(slots.chunks.iter().all(|chunk| chunk.places.capacity() == 0));
        assert_eq!(slots.roomy.len(), slots.chunks.len());
    }
}
