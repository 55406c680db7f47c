//! Mailgrant
