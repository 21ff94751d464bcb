//! What Mosquitto does differently: the checks it fails, and why. A table that is wrong in either direction is a fault of the suite
//! (or of the table), so Mosquitto checks the checks.

/// The version that the table is about, which is Debian's. Of any other one the differences are shown, and nothing is made of them.
pub(crate) const VERSION: &str = "2.0.11";

/// The name of a check, and what Mosquitto does.
pub(crate) const DIFFERS: &[(&str, &str)] = &[
    (
        "a QoS 2 message that was sent once does not expire",
        "it expires what is in flight",
    ),
    (
        "a will is published when the session ends before its delay has passed",
        "it waits for the delay all the same",
    ),
    (
        "DISCONNECT of any other reason has the will published",
        "it publishes the will for reason 0x04 alone",
    ),
    (
        "a client that comes with the identifier of a connected one takes its place",
        "it closes the old connection without a DISCONNECT",
    ),
    (
        "a QoS 2 PUBLISH that is repeated again and again, with DUP and without, is one message",
        "it closes the connection for the second repetition",
    ),
    (
        "a version that does not exist is refused",
        "it answers with a CONNACK of MQTT 3.1.1",
    ),
    (
        "values of properties of CONNECT outside their range are refused",
        "it takes Authentication Data without an Authentication Method",
    ),
    (
        "a CONNECT whose Remaining Length is not as short as it can be is refused",
        "it takes any length of up to four bytes",
    ),
    (
        "lengths that are not as short as they can be are refused",
        "it takes any length of up to four bytes",
    ),
    (
        "DISCONNECT with reserved flags is answered by Malformed Packet",
        "it closes without a word",
    ),
    (
        "PUBACK with reserved flags is refused",
        "it does not look at these flags",
    ),
    (
        "PUBREC with reserved flags is refused",
        "it does not look at these flags",
    ),
    (
        "PUBCOMP with reserved flags is refused",
        "it does not look at these flags",
    ),
    (
        "PINGREQ with reserved flags is refused",
        "it does not look at these flags",
    ),
    (
        "packets that only servers send are refused",
        "it takes a SUBACK of a client",
    ),
    (
        "a packet that ends too early or too late is refused",
        "it does not look behind the properties of a PUBACK",
    ),
    (
        "a PUBACK with a reason code that is not listed is refused",
        "it takes any reason code here",
    ),
    (
        "a PUBREC with a reason code that is not listed is refused",
        "it takes any reason code here",
    ),
    (
        "a PUBREL with a reason code that is not listed is refused",
        "it takes any reason code here",
    ),
    (
        "a PUBCOMP with a reason code that is not listed is refused",
        "it takes any reason code here",
    ),
    (
        "no more messages are in flight to a client than its Receive Maximum",
        "it sends two messages for one PUBACK",
    ),
    (
        "a client that comes back sets another Receive Maximum",
        "it sends again all that was in flight, however much the client takes now",
    ),
    (
        "a message above the client's Maximum Packet Size is dropped as if it had been sent",
        "dropped messages keep their places in flight, and nothing comes any more",
    ),
    (
        "a Subscription Identifier in a PUBLISH of a client is refused",
        "it takes it",
    ),
    ("a PUBLISH of QoS 0 with DUP is refused", "it takes it"),
    (
        "wildcards in a Response Topic are refused",
        "it does not look for them there",
    ),
    (
        "values of properties of PUBLISH outside their range are refused",
        "it takes a Payload Format Indicator of 2",
    ),
    (
        "a shared subscription gets nothing that is retained when it begins",
        "it gets what is retained",
    ),
    (
        "$share without a name or a filter is refused",
        "it takes $share//a",
    ),
    (
        "a ShareName with wildcards is refused",
        "it takes $share/+/a",
    ),
    (
        "No Local on a shared subscription is refused",
        "it takes it",
    ),
    (
        "a SUBSCRIBE with the same filter replaces the subscription",
        "it keeps the No Local of the old one",
    ),
    (
        "a server that asks for more says Continue authentication, and the method stands in all that it says",
        "it has no method without a plugin",
    ),
    (
        "an AUTH that is wrong closes the connection of a client that has a method too",
        "it has no method without a plugin",
    ),
    (
        "an AUTH fits into the client's Maximum Packet Size, or does not come",
        "it has no method without a plugin",
    ),
    (
        "frames of a server are binary, and a text frame of a client ends the connection",
        "it takes text frames",
    ),
];
