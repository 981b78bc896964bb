//! The console for administrators, through bytes on the wire.

mod apps;
mod desk;
mod frame;
mod hostile_texts;
mod html;
mod posts;
