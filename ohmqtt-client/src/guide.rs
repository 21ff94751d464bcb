//! The pages of the guide whose programs need no more than the client and a broker: they run as documentation tests, and are in no build.
//!
//! Those about the broker's faults and its transports are tests of `ohmqtt-broker`, those in Python of `ohmqtt-py`.

/// Each page as the documentation of a module of its own.
macro_rules! pages {
    ($($name:ident $page:literal;)*) => {
        $(
            #[doc = include_str!(concat!("../../", $page))]
            mod $name {}
        )*
    };
}

pages! {
    readme "README.md";
    coming_from_rumqttc "docs/coming-from-rumqttc.md";
    delivery "docs/delivery.md";
    getting_started "docs/getting-started.md";
    overload "docs/overload.md";
    persistence "docs/persistence.md";
    reconnecting "docs/reconnecting.md";
    request_response "docs/request-response.md";
    sans_io "docs/sans-io.md";
    scaling_out "docs/scaling-out.md";
}
