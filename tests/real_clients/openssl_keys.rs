//! Keys and certificates as the installed OpenSSL writes them.

use std::fs;
use std::path::{Path, PathBuf};

use grantor::jwt::{Algorithm, KeyError, SigningKey, VerifyingKey, VerifyingKeys};

use crate::sandbox::command;
use crate::support::skip;

/// A folder of files that OpenSSL writes.
struct Folder(PathBuf);

impl Folder {
    /// Returns an empty folder, or `None` without OpenSSL 3.
    fn new(name: &str) -> Option<Self> {
        let version = command("openssl").arg("version").output().ok()?;
        if !String::from_utf8_lossy(&version.stdout).starts_with("OpenSSL 3") {
            return None;
        }
        let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Some(Self(folder))
    }

    /// Runs `openssl` in the folder. Words are separated by spaces.
    #[track_caller]
    fn openssl(&self, arguments: &str) {
        let arguments = arguments.split(' ');
        let output = command("openssl").current_dir(&self.0).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(Path::new(name))).unwrap()
    }

    /// Generates a private key, and its public key in `public.pem`.
    fn generate(&self, kind: &str) {
        self.openssl(&format!("genpkey -out private.pem -algorithm {kind}"));
        self.openssl("pkey -in private.pem -pubout -out public.pem");
    }

    fn public(&self, name: &str) -> Result<VerifyingKey, KeyError> {
        VerifyingKey::from_pem(&self.read(name))
    }

    fn private(&self, algorithm: Algorithm, name: &str) -> Result<VerifyingKey, KeyError> {
        SigningKey::from_pem(algorithm, &self.read(name)).map(|key| key.verifying_key())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[track_caller]
fn assert_same(read: Result<VerifyingKey, KeyError>, expected: &VerifyingKey) {
    assert_eq!(read.unwrap().thumbprint(), expected.thumbprint());
}

/// Z10: every kind of key that OpenSSL generates is taken, or refused with its reason.
#[test]
fn every_kind_of_key_is_taken_or_refused_with_its_reason() {
    use Algorithm::{ES256, ES384, EdDSA, PS256, RS256};

    let Some(folder) = Folder::new("grantor-key-kinds") else {
        return skip("every_kind_of_key_is_taken_or_refused_with_its_reason", "OpenSSL 3");
    };
    for (kind, algorithm, error) in [
        ("RSA -pkeyopt rsa_keygen_bits:2048", RS256, None),
        ("RSA -pkeyopt rsa_keygen_bits:3072", PS256, None),
        ("RSA -pkeyopt rsa_keygen_bits:4096", RS256, None),
        ("RSA -pkeyopt rsa_keygen_bits:1024", RS256, Some(KeyError::RsaSize)),
        ("RSA-PSS -pkeyopt rsa_keygen_bits:2048", PS256, Some(KeyError::Unsupported)),
        ("EC -pkeyopt ec_paramgen_curve:P-256", ES256, None),
        ("EC -pkeyopt ec_paramgen_curve:P-384", ES384, None),
        ("EC -pkeyopt ec_paramgen_curve:P-521", ES384, Some(KeyError::Unsupported)),
        ("EC -pkeyopt ec_paramgen_curve:secp256k1", ES256, Some(KeyError::Unsupported)),
        ("EC -pkeyopt ec_paramgen_curve:brainpoolP256r1", ES256, Some(KeyError::Unsupported)),
        (
            "EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit",
            ES256,
            Some(KeyError::Unsupported),
        ),
        ("ED25519", EdDSA, None),
        ("ED448", EdDSA, Some(KeyError::Unsupported)),
        ("X25519", EdDSA, Some(KeyError::Unsupported)),
        ("X448", EdDSA, Some(KeyError::Unsupported)),
        ("DH -pkeyopt group:ffdhe2048", RS256, Some(KeyError::Unsupported)),
        ("SM2", ES256, Some(KeyError::Unsupported)),
    ] {
        folder.generate(kind);
        let read = folder.public("public.pem");
        assert_eq!(read.as_ref().err(), error.as_ref(), "{kind}");
        let private = folder.private(algorithm, "private.pem");
        assert_eq!(private.is_ok(), read.is_ok(), "{kind}: {private:?}");
        let as_client_key = VerifyingKeys::from_pem(&folder.read("private.pem"));
        assert_eq!(as_client_key, Err(KeyError::Private), "{kind}");
        if let Ok(key) = read {
            assert_same(private, &key);
        }
    }
}

/// Z10: the forms of RSA keys.
#[test]
fn every_form_of_an_rsa_key_is_taken() {
    let Some(folder) = Folder::new("grantor-rsa-forms") else {
        return skip("every_form_of_an_rsa_key_is_taken", "OpenSSL 3");
    };
    folder.generate("RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3");
    assert!(folder.public("public.pem").is_ok());
    assert_eq!(folder.private(Algorithm::RS256, "private.pem"), Err(KeyError::RsaSigning));
    folder.generate("RSA -pkeyopt rsa_keygen_bits:2048");
    let key = folder.public("public.pem").unwrap();
    folder.openssl("rsa -in private.pem -RSAPublicKey_out -out pkcs1.pem");
    assert_same(folder.public("pkcs1.pem"), &key);
    folder.openssl("rsa -in private.pem -traditional -out traditional.pem");
    assert_same(folder.private(Algorithm::PS384, "traditional.pem"), &key);
    folder.openssl("pkey -in private.pem -text -out text.pem");
    assert_same(folder.private(Algorithm::RS512, "text.pem"), &key);
    folder.openssl("rsa -in private.pem -traditional -aes128 -passout pass:word -out locked.pem");
    assert_eq!(folder.private(Algorithm::RS256, "locked.pem"), Err(KeyError::Encrypted));
    folder.openssl("pkcs8 -topk8 -in private.pem -passout pass:word -out locked8.pem");
    assert_eq!(folder.private(Algorithm::RS256, "locked8.pem"), Err(KeyError::Encrypted));
    let message = KeyError::Encrypted.to_string();
    assert!(message.contains("openssl pkey"), "{message}");
}

/// Z10: the forms of elliptic curve keys: SEC 1 with its parameters, without the public key, and with a
/// compressed point.
#[test]
fn every_form_of_an_elliptic_curve_key_is_taken() {
    let Some(folder) = Folder::new("grantor-ec-forms") else {
        return skip("every_form_of_an_elliptic_curve_key_is_taken", "OpenSSL 3");
    };
    for (curve, algorithm, other) in [
        ("prime256v1", Algorithm::ES256, Algorithm::ES384),
        ("secp384r1", Algorithm::ES384, Algorithm::ES256),
    ] {
        // Writes EC PARAMETERS and EC PRIVATE KEY.
        folder.openssl(&format!("ecparam -name {curve} -genkey -out sec1.pem"));
        assert!(folder.read("sec1.pem").contains("EC PARAMETERS"));
        folder.openssl("ec -in sec1.pem -pubout -out public.pem");
        let key = folder.public("public.pem").unwrap();
        assert_same(folder.private(algorithm, "sec1.pem"), &key);
        folder.openssl("ec -in sec1.pem -no_public -out bare.pem");
        assert!(folder.read("bare.pem").len() < folder.read("sec1.pem").len());
        assert_same(folder.private(algorithm, "bare.pem"), &key);
        for (from, to) in [("sec1.pem", "pkcs8.pem"), ("bare.pem", "bare8.pem")] {
            folder.openssl(&format!("pkcs8 -topk8 -nocrypt -in {from} -out {to}"));
            assert_same(folder.private(algorithm, to), &key);
            assert_eq!(folder.private(other, to), Err(KeyError::AlgorithmMismatch));
            assert_eq!(folder.private(other, from), Err(KeyError::AlgorithmMismatch));
            assert!(folder.private(Algorithm::EdDSA, from).is_err());
            assert!(folder.private(Algorithm::RS256, to).is_err());
        }
        folder.openssl("ec -in sec1.pem -pubout -conv_form compressed -out compressed.pem");
        assert!(folder.read("compressed.pem").len() < folder.read("public.pem").len());
        assert_same(folder.public("compressed.pem"), &key);
        folder.openssl("ec -in sec1.pem -aes128 -passout pass:word -out locked.pem");
        assert_eq!(folder.private(algorithm, "locked.pem"), Err(KeyError::Encrypted));
    }
}

/// Z10: the forms of certificates: self-signed, from PKCS#12 with bag attributes, with trust settings, as
/// text, and with the chain of its issuers.
#[test]
fn every_form_of_a_certificate_is_taken() {
    let Some(folder) = Folder::new("grantor-certificates") else {
        return skip("every_form_of_a_certificate_is_taken", "OpenSSL 3");
    };
    for kind in
        ["RSA -pkeyopt rsa_keygen_bits:2048", "EC -pkeyopt ec_paramgen_curve:P-256", "ED25519"]
    {
        folder.generate(kind);
        let key = folder.public("public.pem").unwrap();
        folder.openssl("req -x509 -new -key private.pem -subj /CN=app -days 1 -out self.pem");
        assert_same(folder.public("self.pem"), &key);
        folder.openssl("x509 -in self.pem -text -out text.pem");
        assert_same(folder.public("text.pem"), &key);
        folder.openssl("x509 -in self.pem -trustout -addtrust clientAuth -out trusted.pem");
        assert!(folder.read("trusted.pem").contains("TRUSTED CERTIFICATE"));
        assert_same(folder.public("trusted.pem"), &key);
        folder.openssl(
            "pkcs12 -export -in self.pem -inkey private.pem -passout pass:word -out bag.p12",
        );
        folder.openssl("pkcs12 -in bag.p12 -passin pass:word -nokeys -out bag.pem");
        assert!(folder.read("bag.pem").contains("Bag Attributes"));
        assert_same(folder.public("bag.pem"), &key);
        folder.openssl("pkcs12 -in bag.p12 -passin pass:word -noenc -out all.pem");
        assert_eq!(VerifyingKeys::from_pem(&folder.read("all.pem")), Err(KeyError::Private));
        let algorithm = key.algorithm().unwrap_or(Algorithm::RS256);
        assert_same(folder.private(algorithm, "all.pem"), &key);

        // A leaf under two authorities.
        folder.openssl("req -new -key private.pem -subj /CN=leaf -out request.pem");
        assert_eq!(folder.public("request.pem"), Err(KeyError::PemLabel));
        for name in ["root", "middle"] {
            let curve = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384";
            folder.openssl(&format!("{curve} -out {name}.key"));
        }
        folder.openssl("req -x509 -new -key root.key -subj /CN=root -days 1 -out root.pem");
        folder.openssl("req -new -key middle.key -subj /CN=middle -out middle.req");
        folder.openssl(
            "x509 -req -in middle.req -CA root.pem -CAkey root.key -days 1 -out middle.pem",
        );
        folder.openssl(
            "x509 -req -in request.pem -CA middle.pem -CAkey middle.key -days 1 -out leaf.pem",
        );
        let [leaf, middle, root] = ["leaf.pem", "middle.pem", "root.pem"].map(|it| folder.read(it));
        for chain in [leaf.clone(), leaf.clone() + &middle, leaf + &middle + &root] {
            assert_same(VerifyingKey::from_pem(&chain), &key);
            let keys = VerifyingKeys::from_pem(&chain).unwrap();
            assert_eq!(keys.iter().count(), 1);
            assert!(keys.passed_over().iter().all(|it| it.error == KeyError::Authority));
        }
        // Two certificates of one name, as during a rotation, are both the app's.
        folder.openssl("req -x509 -new -key root.key -subj /CN=app -days 1 -out next.pem");
        let both = folder.read("self.pem") + &folder.read("next.pem");
        assert_eq!(VerifyingKeys::from_pem(&both).unwrap().iter().count(), 2);
    }
}
