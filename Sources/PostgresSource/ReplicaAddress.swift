package import Invalidation

/// Where one read replica is, and how to log in to it.
package struct ReplicaAddress: Sendable {
  private var parameters: ConnectionParameters

  /// Any libpq URI or keyword string that names one server.
  package init(connection: String) throws(SourceFailure) {
    parameters = try ConnectionParameters(connection)
    parameters.setCommon()
  }

  /// The name or address to be resolved before connecting; nil for a Unix socket, or when `hostaddr` says it.
  package var host: String? {
    guard parameters["hostaddr"] == nil, let host = parameters["host"], !host.isEmpty, !host.hasPrefix("/"),
      !host.hasPrefix("@")
    else { return nil }
    return host
  }

  /// The same server at a numeric address: libpq resolves nothing any more. Certificates go on being checked against
  /// the name.
  package func resolved(to address: String) -> ReplicaAddress {
    var copy = self
    copy.parameters.set("hostaddr", address)
    return copy
  }

  /// Whether the connection string can be read and names one server: the position of one of several says nothing of the
  /// others.
  package static func isValid(connection: String) -> Bool {
    guard let address = try? ReplicaAddress(connection: connection) else { return false }
    let hosts = [address.parameters["host"], address.parameters["hostaddr"]]
    return !hosts.contains { $0?.contains(",") == true }
  }

  /// For the plain connection.
  func queryParameters() -> ConnectionParameters {
    var parameters = parameters
    parameters.addSettings([("statement_timeout", "0"), ("idle_session_timeout", "0")])
    return parameters
  }
}
