//! Vectors for texts: every word has a direction of its own, a text is the sum of its words, and
//! the vector has length one. So texts that share words are near each other. Pure.

use base64::Engine as _;

use super::script;

/// How many numbers a vector has, unless the request says otherwise.
pub(super) const DIMENSIONS: usize = 256;
/// Most numbers that a request may ask for.
pub(super) const MOST_DIMENSIONS: usize = 4096;

/// The vector of a text.
pub(super) fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let lower = text.to_lowercase();
    let mut sum = vec![0.0_f32; dimensions];
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut any = false;
    for word in words {
        any = true;
        add(&mut sum, script::seed(word));
    }
    if !any {
        add(&mut sum, script::seed(text));
    }
    let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        sum.iter_mut().for_each(|x| *x /= length);
    } else if let Some(first) = sum.first_mut() {
        *first = 1.0;
    }
    sum
}

/// Adds the direction that belongs to `seed` (splitmix64, scaled to −1…1).
fn add(sum: &mut [f32], seed: u64) {
    let mut state = seed;
    for x in sum {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // Sixteen bits are enough for a direction, and fit a float without loss.
        let [high, low, ..] = (z ^ (z >> 31)).to_be_bytes();
        *x += f32::from(i16::from_be_bytes([high, low])) / 32_768.0;
    }
}

/// A vector as OpenAI's clients like it best: little-endian 32-bit floats in base64.
pub(super) fn base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &str, b: &str) -> f32 {
        vector(a, 64).iter().zip(vector(b, 64)).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn vectors_have_length_one_and_texts_that_share_words_are_near() {
        for text in ["", "?", "one", "the quick brown fox"] {
            assert!((cosine(text, text) - 1.0).abs() < 1e-5, "{text}");
        }
        let near = cosine("the cat sat on the mat", "a cat on a mat");
        let far = cosine("the cat sat on the mat", "quarterly revenue grew");
        assert!(near > far + 0.2, "{near} {far}");
    }
}
