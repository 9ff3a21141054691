/// What one HTTP connection may take, so that a client which is slow, stuck or hostile costs little and for a short time.
struct ConnectionLimits: Sendable {
  /// Without a request; its head has to be complete by then.
  var idle = Duration.seconds(30)
  /// From a request's head to the end of its body.
  var body = Duration.seconds(10)
  /// While more waits to be sent than is kept for a connection, because the client does not read.
  var unread = Duration.seconds(30)
  /// After a refusal, for the client to read it before the connection is gone.
  var farewell = Duration.seconds(2)
  /// Requests that one connection may have sent before the first of them is answered. All that comes in one read is read
  /// as requests, and their answers are made without a look at whether the client takes any.
  var pipelined = 32

  /// No path of ours reads a body.
  static let bodyBytes = 4_096
  /// One field of a request's head, or its target, in bytes.
  static let fieldBytes = 8_192
  /// All fields of a request's head, in bytes.
  static let headBytes = 16_384
  static let fields = 100
}
