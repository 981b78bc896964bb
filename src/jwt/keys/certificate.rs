//! X.509 certificates (RFC 5280 section 4.1), as far as their keys are concerned.

use spki::der::{AnyRef, Decode as _, Reader as _, SliceReader, Tag, TagNumber, Tagged as _};

use super::KeyError;

/// The parts of a certificate that matter for its key. Nothing is verified: the administrator vouches for
/// the key, not the issuer of the certificate, and the dates are not checked.
pub(super) struct Certificate<'a> {
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    /// The `SubjectPublicKeyInfo`, in DER.
    pub(super) key: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Parses a certificate in DER. Trailing bytes, such as OpenSSL's trust settings, are ignored.
    pub(super) fn parse(der: &'a [u8]) -> Result<Self, KeyError> {
        Self::read(der).map_err(|_| KeyError::Malformed)
    }

    fn read(der: &'a [u8]) -> spki::der::Result<Self> {
        let mut outside = SliceReader::new(der)?;
        let mut certificate = SliceReader::new(sequence(&mut outside)?)?;
        let mut fields = SliceReader::new(sequence(&mut certificate)?)?;
        let version = Tag::ContextSpecific { constructed: true, number: TagNumber::N0 };
        if fields.peek_tag()? == version {
            fields.tlv_bytes()?;
        }
        let [_serial_number, _signature] = [fields.tlv_bytes()?, fields.tlv_bytes()?];
        let issuer = fields.tlv_bytes()?;
        let _validity = fields.tlv_bytes()?;
        Ok(Self { issuer, subject: fields.tlv_bytes()?, key: fields.tlv_bytes()? })
    }

    /// Checks whether another certificate issued this one.
    pub(super) fn is_issued_by(&self, other: &Self) -> bool {
        self.issuer == other.subject && self.issuer != self.subject
    }
}

/// Returns the content of the next value, which must be a sequence.
fn sequence<'a>(reader: &mut SliceReader<'a>) -> spki::der::Result<&'a [u8]> {
    let value = AnyRef::decode(reader)?;
    value.tag().assert_eq(Tag::Sequence)?;
    Ok(value.value())
}
