//! Addresses as users write them.

use ohmqtt_transport::Endpoint;

/// What an address shows of itself means the same place, and neither shows its password nor its query.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    match text.parse::<Endpoint>() {
        Ok(endpoint) => look_at(&endpoint),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn look_at(endpoint: &Endpoint) {
    let shown = endpoint.to_string();
    let again: Endpoint = shown.parse().expect("what is shown is an address");
    let place = |endpoint: &Endpoint| {
        let path = endpoint.path().map(str::to_owned);
        let host = endpoint.host().map(str::to_owned);
        (endpoint.scheme(), host, endpoint.port(), path)
    };
    assert_eq!(place(&again), place(endpoint));
    assert_eq!(
        (again.user_name(), again.password(), again.query()),
        (None, None, None)
    );
    assert_eq!(again.to_string(), shown);
    assert_eq!(format!("{endpoint:?}"), format!("Endpoint({shown})"));
}
