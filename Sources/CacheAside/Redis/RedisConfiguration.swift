/// Where a `RedisClient` connects to, as whom, and for how long it waits.
public struct RedisConfiguration: Sendable {
  /// Where Redis listens.
  public enum Endpoint: Sendable, Equatable {
    /// A host name or address, and a port.
    case tcp(host: String, port: Int)
    /// The path of a Unix socket.
    case unix(path: String)
  }

  /// Of the primary: a replica would answer with values that cdcd has deleted.
  public var endpoint: Endpoint
  /// For Redis ACLs; nil is the default user.
  public var username: String?
  /// Nil where none is asked for.
  public var password: String?
  /// The number of the database; has to be the one that cdcd deletes from.
  public var database = 0
  /// From the first packet to the answer to the first PING; 1 s by default.
  public var connectTimeout = Duration.seconds(1)
  /// From sending a command to its reply; 1 s by default. A connection on which a reply is late is closed.
  public var commandTimeout = Duration.seconds(1)

  /// The defaults for this endpoint.
  public init(_ endpoint: Endpoint) { self.endpoint = endpoint }

  /// What is sent on a new connection before anything else. The last one asks for a sign of life: a frozen server's
  /// kernel takes connections too.
  var introduction: [[[UInt8]]] {
    var commands: [[String]] = []
    if let password { commands.append(["AUTH"] + (username.map { [$0] } ?? []) + [password]) }
    if database != 0 { commands.append(["SELECT", String(database)]) }
    commands.append(["PING"])
    return commands.map { $0.map { Array($0.utf8) } }
  }
}
