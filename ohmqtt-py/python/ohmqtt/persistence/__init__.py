"""Where outgoing messages of QoS 1 and 2 wait until they are acknowledged: in memory, or in a file."""
