"""GraphQL over HTTP and the handshakes of sockets: who asks, from where, and in which form."""
