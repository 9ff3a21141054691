/// A way to a Redis primary: one requirement, so that any Redis client can be used with a few lines.
///
/// `RedisClient` is one that is shipped. An adapter for another client sends the words as one command and turns what
/// comes back into a `RESPReply`. A client that throws Redis's error replies has them turned back into
/// `.error(message)`, message included, since `NOSCRIPT` is how Redis asks for a script's text.
/// In a Redis Cluster the command goes to the node of its first key, the fourth word.
public protocol RedisTransport: Sendable {
  /// Sends one command. Must end within a time that a reader can bear: `LeasedCache` sets no limit of its own.
  ///
  /// - Parameter command: the command's name and its arguments, any bytes.
  /// - Returns: Redis's reply, an error reply included.
  /// - Throws: whatever tells why there is no reply.
  func send(_ command: [[UInt8]]) async throws -> RESPReply
}
