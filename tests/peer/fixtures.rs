//! Hostile byte streams, one file a lie, under `fixtures/pdu/`. They are made here and kept as
//! files so that the fuzz target starts from them too.

use super::*;

/// One stream. `reason` is that of the A-ABORT, with the service provider as its source, that has
/// to be the answer (PS3.8 section 9.3.8).
pub struct Hostile {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    /// Whether the stream begins with a request that is accepted.
    pub associated: bool,
    pub reason: u8,
}

const UNRECOGNIZED: u8 = 1;
const UNEXPECTED: u8 = 2;
const INVALID: u8 = 6;

fn header(kind: u8, length: u32) -> Vec<u8> {
    let mut bytes = vec![kind, 0];
    bytes.extend(length.to_be_bytes());
    bytes
}

fn with_user_item(sub_item: &[u8]) -> Vec<u8> {
    associate_rq(b"GRAYD", b"PEER", &context(1, VERIFICATION, &[IMPLICIT]), sub_item)
}

fn with_contexts(contexts: Vec<Vec<u8>>) -> Vec<u8> {
    associate_rq(b"GRAYD", b"PEER", &contexts.concat(), &max_length(16384))
}

fn after_association(bytes: &[u8]) -> Vec<u8> {
    [usual_rq(), bytes.to_vec()].concat()
}

/// A presentation data value whose length says `length`, in a PDU that fits what is there.
fn pdv_with_length(length: u32) -> Vec<u8> {
    let mut value = length.to_be_bytes().to_vec();
    value.extend([1, COMMAND | LAST]);
    value.extend(echo_rq(1));
    after_association(&pdu(0x04, &value))
}

pub fn hostile() -> Vec<Hostile> {
    let echo_length = echo_rq(1).len() as u32;
    let one = |id| context(id, VERIFICATION, &[IMPLICIT]);
    let max_length_lie = |length: u16| {
        let mut sub_item = vec![0x51, 0];
        sub_item.extend(length.to_be_bytes());
        sub_item.extend(16384u32.to_be_bytes());
        with_user_item(&sub_item)
    };
    let role = |uid_length: u16| {
        let mut value = uid_length.to_be_bytes().to_vec();
        value.extend(CT.as_bytes());
        value.extend([1, 1]);
        with_user_item(&item(0x54, &value))
    };
    let before = |name, bytes, reason| Hostile { name, bytes, associated: false, reason };
    let after = |name, bytes: Vec<u8>, reason| Hostile { name, bytes, associated: true, reason };
    let fragment = |id, control, data: &[u8]| after_association(&p_data(&[pdv(id, control, data)]));
    let half = store_rq(1, CT, "1.2.3.4");
    let with_items = |kind, items: &[u8]| {
        let fixed = [&[0, 1, 0, 0][..], &[b' '; 32], &[0; 32]].concat();
        pdu(kind, &[fixed, items.to_vec()].concat())
    };
    let no_name = with_items(0x01, &item(0x50, &max_length(16384)));
    let accept = with_items(0x02, &item(0x10, b"1.2.840.10008.3.1.1.1"));
    vec![
        before("type-unknown", header(0x99, 4), UNRECOGNIZED),
        before("type-http", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), UNRECOGNIZED),
        before("rq-len-0", header(0x01, 0), INVALID),
        before("rq-len-5", header(0x01, 5), INVALID),
        before("rq-len-2g", header(0x01, 0x8000_0000), INVALID),
        before("rq-len-4g", header(0x01, 0xFFFF_FFFF), INVALID),
        before("rq-without-application-context", no_name, INVALID),
        before("rq-maxlen-item-len-0", max_length_lie(0), INVALID),
        before("rq-maxlen-item-len-3", max_length_lie(3), INVALID),
        before("rq-maxlen-item-len-ffff", max_length_lie(0xFFFF), INVALID),
        before("rq-role-uidlen-too-long", role(200), INVALID),
        before("rq-role-uidlen-ffff", role(0xFFFF), INVALID),
        before(
            "rq-contexts-129",
            with_contexts((0..129).map(|n| one((n * 2 + 1) as u8)).collect()),
            INVALID,
        ),
        before("rq-context-even", with_contexts(vec![one(2)]), INVALID),
        before("rq-context-twice", with_contexts(vec![one(1), one(1)]), INVALID),
        before(
            "rq-uid-64k",
            with_contexts(vec![context(1, &"1".repeat(60_000), &[IMPLICIT])]),
            INVALID,
        ),
        before("rq-items-10k", with_user_item(&item(0x51, &[0; 2]).repeat(10_000)), INVALID),
        before(
            "data-before-association",
            p_data(&[pdv(1, COMMAND | LAST, &echo_rq(1))]),
            UNEXPECTED,
        ),
        before("release-before-association", pdu(0x05, &[0; 4]), UNEXPECTED),
        before("accept-before-association", accept, UNEXPECTED),
        after("request-twice", after_association(&usual_rq()), UNEXPECTED),
        after("data-len-0", after_association(&header(0x04, 0)), INVALID),
        after("data-len-5", after_association(&header(0x04, 5)), INVALID),
        after("data-len-max-plus-1", after_association(&header(0x04, 131_073)), INVALID),
        after("data-len-2g", after_association(&header(0x04, 0x8000_0000)), INVALID),
        after("data-len-4g", after_association(&header(0x04, 0xFFFF_FFFF)), INVALID),
        after("release-len-4g", after_association(&header(0x05, 0xFFFF_FFFF)), INVALID),
        after("pdv-len-0", pdv_with_length(0), INVALID),
        after("pdv-len-1", pdv_with_length(1), INVALID),
        after("pdv-len-ffffffff", pdv_with_length(0xFFFF_FFFF), INVALID),
        after("pdv-len-remaining-plus-1", pdv_with_length(echo_length + 3), INVALID),
        after("pdv-context-even", fragment(2, COMMAND | LAST, &echo_rq(1)), INVALID),
        after("pdv-context-unknown", fragment(99, COMMAND | LAST, &echo_rq(1)), INVALID),
        after("data-without-command", fragment(3, LAST, b"data"), INVALID),
        after(
            "command-malformed",
            fragment(3, COMMAND | LAST, b"\0\0\0\0\x04\0\0\0rubbish!"),
            INVALID,
        ),
        after(
            "command-endless",
            after_association(&p_data(&[pdv(3, COMMAND, &[0; 16_000])]).repeat(2)),
            INVALID,
        ),
        after(
            "command-within-data",
            after_association(&p_data(&[
                pdv(3, COMMAND | LAST, &half),
                pdv(3, 0, b"half a data set"),
                pdv(3, COMMAND | LAST, &half),
            ])),
            INVALID,
        ),
        after(
            "data-in-another-context",
            after_association(&p_data(&[pdv(3, COMMAND | LAST, &half), pdv(1, LAST, b"data")])),
            INVALID,
        ),
        after(
            "release-within-data",
            after_association(
                &[
                    p_data(&[pdv(3, COMMAND | LAST, &half), pdv(3, 0, b"half a data set")]),
                    pdu(0x05, &[0; 4]),
                ]
                .concat(),
            ),
            INVALID,
        ),
        after(
            "response-to-nothing",
            fragment(
                1,
                COMMAND | LAST,
                &command_set(&[
                    (0x0100, us(0x8030)),
                    (0x0120, us(1)),
                    (0x0800, us(0x0101)),
                    (0x0900, us(0)),
                ]),
            ),
            INVALID,
        ),
    ]
}
