/// Where one Redis server listens and how to log in to it.
package struct RedisAddress: Sendable, Equatable {
  package enum Endpoint: Sendable, Equatable {
    case tcp(host: String, port: Int)
    case unix(path: String)

    /// Nil for a Unix socket.
    package var host: String? { if case .tcp(let host, _) = self { host } else { nil } }
  }

  package var endpoint: Endpoint
  /// An ACL user (Redis 6 and later); nil for the default user.
  package var username: String?
  package var password: String?
  package var database: Int

  package init(endpoint: Endpoint, username: String? = nil, password: String? = nil, database: Int = 0) {
    self.endpoint = endpoint
    self.username = username
    self.password = password
    self.database = database
  }
}
