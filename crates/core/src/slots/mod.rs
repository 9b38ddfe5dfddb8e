//! Slots: the stable numbered places of a backend.

mod scheme;
mod table;
mod vacancy;

#[cfg(test)]
mod tests;

pub use scheme::{
    Factor, Growth, InvalidScheme, NameScheme, NoName, SlotNames, SlotNo, SlotPattern, SlotScheme,
    address_name, default_parking,
};
pub use table::{Assignment, Limits, NoSlot, Row, Shape, SlotTable, Unplaced, Wanted, assign};
