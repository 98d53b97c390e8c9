// SPDX-License-Identifier: GPL-2.0

//! Replies to messages that move blocks, against what docs/interface.md says of their form and figures.

use machine::fail;

use crate::unit::Unit;

/// Returns the numbers of `text` that stand where `form` has `#`. `None` where the rest differs.
fn numbers(text: &str, form: &str) -> Option<Vec<u64>> {
    let (words, forms) = (text.split(' '), form.split(' '));
    if words.clone().count() != forms.clone().count() {
        return None;
    }
    let mut numbers = Vec::new();
    for (word, form) in words.zip(forms) {
        match form {
            "#" => numbers.push(word.parse().ok()?),
            _ if word == form => {}
            _ => return None,
        }
    }
    Some(numbers)
}

impl Unit {
    /// Fails where `message` about the `len` sectors from `first` on was carried out, and the reply is not what it
    /// should be.
    pub(crate) fn check_reply(&self, message: &str, first: u64, len: u64, reply: &str) {
        let block = self.settings.block;
        let blocks = (first + len).div_ceil(block) - first / block;
        let shown = self.settings.begin + first / block * block;
        let right = match message {
            // Another message has moved the block back meanwhile.
            "remap" | "bad" if blocks == 1 && reply.is_empty() => true,
            "remap" | "bad" if blocks == 1 => {
                numbers(reply, "sector # -> spare #").is_some_and(|numbers| {
                    numbers[0] == shown
                        && self.settings.begins_slot(numbers[1], self.growing_to.get())
                })
            }
            "remap" | "bad" => numbers(reply, "remapped # already #")
                .is_some_and(|numbers| numbers[0] + numbers[1] == blocks),
            "unremap" => numbers(reply, "unremapped #")
                .is_some_and(|numbers| numbers[0] <= blocks && (blocks > 1 || numbers[0] == 1)),
            "clear" => numbers(reply, "cleared #").is_some(),
            "retry" => numbers(reply, "cleared # pending # unread #").is_some(),
            "save" => reply == "metadata saved",
            _ => true,
        };
        if !right {
            fail!("'{message}' of sectors {first}+{len} is answered with '{reply}'");
        }
    }
}
