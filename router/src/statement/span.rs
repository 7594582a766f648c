//! A place in a template. Only the type.
//!
//! Read next: [`super::assignment`].

/// A range of template bytes; [`crate::Normalised::original_range`] finds it in the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TemplateSpan {
    /// Its first byte.
    pub start: u32,
    /// Behind its last byte.
    pub end: u32,
}

impl TemplateSpan {
    /// The range as indices.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}
