/// Where the pages are served.
package enum ListenAddress: Sendable, Equatable, CustomStringConvertible {
  case tcp(host: String, port: Int)
  /// A Unix domain socket; the path is absolute.
  case unix(path: String)

  /// What an error says is expected.
  static let expected =
    "host:port, [::1]:9810, :9810 or unix: and an absolute path of at most \(longestPath) bytes"

  /// The longest path that a `sockaddr_un` holds beside its NUL. Source: unix(7).
  private static let longestPath = 107

  /// Reads `host:port`, `[::1]:9810`, `:9810`, which is every address of the machine, or `unix:/path`. Nil for anything
  /// else.
  package init?(_ text: String) {
    if text.hasPrefix("unix:") {
      var path = text.dropFirst("unix:".count)
      // As a URL has it, and redis.url.
      if path.hasPrefix("///") { path = path.dropFirst(2) }
      guard path.hasPrefix("/"), !path.hasSuffix("/"), path.utf8.count <= Self.longestPath else { return nil }
      self = .unix(path: String(path))
    } else {
      guard let colon = text.lastIndex(of: ":") else { return nil }
      let digits = text[text.index(after: colon)...]
      guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }), let port = UInt16(digits),
        let host = Self.host(text[..<colon])
      else { return nil }
      self = .tcp(host: host.isEmpty ? "0.0.0.0" : host, port: Int(port))
    }
  }

  private static func host(_ text: Substring) -> String? {
    if text.hasPrefix("["), text.hasSuffix("]") {
      return text.contains(":") ? String(text.dropFirst().dropLast()) : nil
    }
    return text.contains { ":[]/".contains($0) || $0.isWhitespace } ? nil : String(text)
  }

  /// `host:port`, an IPv6 address in brackets, or `unix:/path`.
  package var description: String {
    switch self {
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }

  /// Whether only this machine comes there; a name counts when it can be no other's.
  package var isLocal: Bool {
    switch self {
    case .tcp(let host, _): HostName.isLoopback(host)
    case .unix: true
    }
  }

  /// Where somebody on this machine finds who listens there: every address stands for the loopback one.
  var reachable: ListenAddress {
    switch self {
    case .tcp("0.0.0.0", let port): .tcp(host: "127.0.0.1", port: port)
    case .tcp("::", let port): .tcp(host: "::1", port: port)
    default: self
    }
  }
}
