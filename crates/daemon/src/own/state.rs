//! The servers' state as the process that takes over is to read it.

/// Maintenance by somebody's command, and by the word `disabled` in the file (`SRV_ADMF_FMAINT` and `SRV_ADMF_CMAINT`).
const COMMANDED: u32 = 1;
const IN_FILE: u32 = 4;

/// Takes the mark of the file off every server that somebody put into maintenance.
///
/// HAProxy compares that mark with the new file: where `disabled` is gone from it, the server comes back ready, whatever
/// else its state says (measured on 2.6). A slot that was parked when HAProxy started would so come out of
/// the maintenance that an operator set.
pub(super) fn for_successor(text: &str) -> String {
    let mut column = None;
    let mut all = String::with_capacity(text.len());
    for line in text.lines() {
        if let Some(names) = line.strip_prefix("# ") {
            column = names.split(' ').position(|name| name == "srv_admin_state");
            all.push_str(line);
        } else {
            let words = line.split(' ').enumerate().map(|(at, word)| match word.parse::<u32>() {
                Ok(state) if Some(at) == column && state & COMMANDED != 0 => (state & !IN_FILE).to_string(),
                _ => word.to_owned(),
            });
            all.push_str(&words.collect::<Vec<_>>().join(" "));
        }
        all.push('\n');
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maintenance_that_was_commanded_holds_whatever_the_file_said() {
        let text = |parked: u32, drained: u32, live: u32| {
            format!(
                "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight\n\
                 5 web 5 srv5 127.0.0.1 0 {parked} 5\n5 web 6 srv6 127.0.0.1 2 {drained} 5\n\
                 5 web 7 srv7 127.0.0.1 2 {live} 5\n\n"
            )
        };
        assert_eq!(for_successor(&text(5, 12, 4)), text(1, 12, 4));
        assert_eq!(for_successor(&text(1, 8, 0)), text(1, 8, 0));
    }

    #[test]
    fn what_is_no_table_stays() {
        assert_eq!(for_successor("1\n5 5 5\n"), "1\n5 5 5\n");
    }
}
