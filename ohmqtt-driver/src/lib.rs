//! The one loop that joins a session, a store and a transport (internal to ohmqtt).
