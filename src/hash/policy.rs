//! What a new password must be (NIST SP 800-63B-4 section 3.1.1.2): long, not well known, not the name of the place.
//!
//! Owns the list of well-known passwords, as words and the ways in which people dress them up. No rule asks for kinds
//! of characters, and none is applied when somebody signs in.

use super::{MAX_BYTES, prepare};
use zeroize::Zeroizing;

/// Whether a person may choose this password; else the id of the reason: `password-too-short`, `password-too-long`,
/// `password-too-common`, `password-is-name`.
///
/// `names` are whole words that it may neither be nor contain: the e-mail address, the user name, the application's
/// name; of fewer than four characters they may be contained. `min_length` counts code points after normalisation.
pub fn acceptable(password: &str, names: &[&str], min_length: u32) -> Result<(), &'static str> {
    if password.len() > MAX_BYTES {
        return Err("password-too-long");
    }
    let typed = match prepare(password) {
        Some(typed) => typed,
        None if password.is_empty() => return Err("password-too-short"),
        None => return Err("password-too-long"),
    };
    if typed.chars().count() < min_length as usize {
        return Err("password-too-short");
    }
    let plain = Zeroizing::new(typed.to_lowercase());
    let is_name = |name: &&str| {
        let name = name.trim().to_lowercase();
        !name.is_empty() && (*plain == name || (name.chars().count() >= 4 && plain.contains(&name)))
    };
    if names.iter().any(is_name) {
        return Err("password-is-name");
    }
    if is_common(&plain) { Err("password-too-common") } else { Ok(()) }
}

/// Why a password was refused, for an operator; people in browsers read it in their language.
pub fn in_words(id: &str, min_length: u32) -> String {
    match id {
        "password-too-short" => format!("the password must have at least {min_length} characters"),
        "password-too-long" => "the password is too long".into(),
        "password-too-common" => "the password is one that everybody would try".into(),
        _ => "the password must not be, or contain, the person's or the product's name".into(),
    }
}

/// Words behind well-known passwords; with [`dressed`] and [`is_common`] they stand for some thousands of them.
const WORDS: &str = "password passwort passwd pass admin administrator root user guest login welcome willkommen letmein \
    changeme change secret geheim default temp test testing tester master superman batman spiderman dragon monkey tiger \
    lion eagle falcon phoenix football baseball basketball soccer hockey fussball hockey tennis golfer princess prinzessin \
    sunshine sonnenschein iloveyou ichliebedich loveyou iloveu love liebe hello hallo hello world helloworld access \
    shadow michael jennifer jessica michelle daniel thomas charlie andrew joshua matthew robert jordan ashley amanda \
    nicole samantha alexander alexandra sebastian christian maximilian summer winter spring autumn sommer herbst \
    fruehling january february march april june july august september october november december monday friday sunday \
    computer internet server database keyboard company qwerty qwertz azerty qwertyuiop qwertzuiop qwertyuiopasdfghjkl \
    qwertyuiopasdfghjklzxcvbnm asdfghjkl asdfgh asdf zxcvbnm zxcvbn yxcvbnm qazwsx qazwsxedc qazwsxedcrfv 1q2w3e 1q2w3e4r \
    1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx 1qaz2wsx3edc 1qaz2wsx3edc4rfv zaq12wsx zaq1xsw2 q1w2e3r4 q1w2e3r4t5 freedom \
    whatever killer trustno1 pepper ginger cookie chocolate banana orange cheese flower butterfly starwars pokemon matrix gandalf \
    mustang corvette ferrari mercedes porsche harley yankees liverpool chelsea arsenal barcelona bayern juventus london \
    berlin america germany deutschland austria oesterreich schatz schatzi hoffnung abcdef abcdefg abcdefgh abc abcd \
    correcthorsebatterystaple thisismypassword mypassword mysecretpassword passwordpassword ilovepassword nopassword \
    newpassword oldpassword mynewpassword supersecret topsecret verysecret thisisapassword enterpassword letmeinplease \
    administratorpassword adminadmin rootroot testtest keyward openid oauth";

/// The lower-case text is a well-known one, a dressed-up one, or a pattern that a program tries first.
fn is_common(text: &str) -> bool {
    is_pattern(text) || dressed(text, |core| WORDS.split_whitespace().any(|word| is_repeated(core, word)))
}

/// Whether `known` holds for the text, also without short or running digits and signs around it and with the usual
/// signs read as letters.
fn dressed(text: &str, known: impl Fn(&str) -> bool) -> bool {
    let spaceless: Zeroizing<String> = Zeroizing::new(text.chars().filter(|c| !" -_.".contains(*c)).collect());
    let letters: Zeroizing<String> = Zeroizing::new(spaceless.chars().map(as_letter).collect());
    let sign = |c: char| !c.is_alphabetic();
    [text, &spaceless].iter().any(|form| {
        let core = form.trim_matches(sign);
        let Some(at) = form.find(core) else { return false };
        let (before, after) = (&form[..at], &form[at + core.len()..]);
        let slight = |s: &str| s.chars().count() <= 4 || is_pattern(s);
        let bare: Zeroizing<String> = Zeroizing::new(core.chars().map(as_letter).collect());
        // Trying each end is for texts that a person types; longer ones are no list's.
        let headed =
            || form.len() <= 128 && form.char_indices().any(|(at, _)| slight(&form[at..]) && known(&form[..at]));
        known(form) || known(&letters) || headed() || (slight(before) && slight(after) && (known(core) || known(&bare)))
    })
}

fn as_letter(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' | '|' => 'i',
        '3' | '€' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

/// `text` is `word`, once or more often.
fn is_repeated(text: &str, word: &str) -> bool {
    !text.is_empty()
        && text.len().is_multiple_of(word.len())
        && text.as_bytes().chunks(word.len()).all(|c| c == word.as_bytes())
}

/// One short piece again and again, or neighbours in a row such as 12345678901 or zyxwvut.
fn is_pattern(text: &str) -> bool {
    let chars: Zeroizing<Vec<char>> = Zeroizing::new(text.chars().collect());
    let again = (1..=4.min(chars.len() / 2)).any(|n| chars.iter().zip(chars.iter().skip(n)).all(|(a, b)| a == b));
    let step = |up: bool| {
        chars.windows(2).all(|pair| {
            let (a, b) = if up { (pair[0], pair[1]) } else { (pair[1], pair[0]) };
            b as u32 == a as u32 + 1 || (a == '9' && b == '0')
        })
    };
    chars.len() > 1 && (again || step(true) || step(false))
}

#[cfg(test)]
#[allow(non_snake_case)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["anna.berg@example.com", "Acme Identity", "Go"];

    #[test]
    fn length_counts_code_points_after_normalisation__sp800_63b_4_3_1_1_2() {
        assert_eq!(acceptable("pferd auf mond", NAMES, 15), Err("password-too-short"));
        assert_eq!(acceptable("pferd auf monde", NAMES, 15), Ok(()));
        assert_eq!(acceptable("pferd äuf möndé", NAMES, 15), Ok(()));
        assert_eq!(acceptable("pferd a\u{308}uf mond", NAMES, 15), Err("password-too-short"));
        assert_eq!(acceptable("猫が月の上で踊っている夜だった", NAMES, 15), Ok(()));
        assert_eq!(acceptable("", NAMES, 0), Err("password-too-short"));
        assert_eq!(acceptable(&"pferd auf mond ".repeat(69), NAMES, 15), Err("password-too-long"));
        let longest: String = (0..256u32).map(|i| format!("{:04x}", i * 40503 % 65536)).collect();
        assert_eq!(acceptable(&longest, NAMES, 15), Ok(()));
        assert_eq!(acceptable(&"\u{958}".repeat(500), NAMES, 15), Err("password-too-long"), "longer once composed");
    }

    #[test]
    fn names_are_refused_as_a_whole() {
        for password in ["Anna.Berg@Example.com", "xx anna.berg@example.com", "my ACME identity!", "acme identity"] {
            assert_eq!(acceptable(password, NAMES, 8), Err("password-is-name"), "{password}");
        }
        for password in ["anna likes long walks", "gophers going home", "acme is not identity"] {
            assert_eq!(acceptable(password, NAMES, 8), Ok(()), "{password}");
        }
    }

    #[test]
    fn well_known_passwords_are_refused_however_dressed() {
        let known = [
            "password",
            "Password1",
            "P@ssw0rd",
            "P@$$w0rd!",
            "password1234567",
            "12345678",
            "123456789012345",
            "098765432109876",
            "aaaaaaaaaaaaaaaa",
            "abababababababab",
            "qwertyuiopasdfghjkl",
            "1qaz2wsx3edc4rfv",
            "passwordpassword",
            "PasswordPassword1!",
            "letmeinletmein",
            "administrator123",
            "iloveyou2024",
            "summer2025",
            "Welcome123!",
            "correct horse battery staple",
            "CorrectHorseBatteryStaple1",
            "qwertyqwertyqwerty",
            "admin admin admin",
            "abcdefghijklmnop",
            "11111111",
            "2024password",
            "trustno1trustno1",
            "thisismypassword",
        ];
        for password in known {
            assert_eq!(acceptable(password, &[], 8), Err("password-too-common"), "{password}");
        }
        for password in [
            "837465920174653",
            "password of the lake",
            "tiger in my tank",
            "xkcd-yields-plums",
            "dragon84629173",
            "ein Pferd auf dem Mond",
        ] {
            assert_eq!(acceptable(password, &[], 8), Ok(()), "{password}");
        }
    }

    #[test]
    fn the_list_stands_for_a_thousand_of_the_best_known() {
        let words = WORDS.split_whitespace().count();
        let mut refused = 0;
        for word in WORDS.split_whitespace() {
            for tail in ["1", "12", "123", "1234", "12345", "!", "2024", "2025"] {
                refused += usize::from(is_common(&format!("{word}{tail}")));
            }
        }
        assert_eq!(refused, words * 8);
        assert!(refused > 1000);
    }
}
