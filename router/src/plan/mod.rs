//! Where a statement goes. Never runs it.
