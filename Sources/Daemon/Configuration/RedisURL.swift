package import RedisSink

/// Why a text is not the URL of a Redis server. Holds nothing of the text but its scheme: the rest may be a
/// password.
package struct RedisURLError: Error, Equatable {
  package var found: String
  package var expected: String
}

extension RedisAddress {
  private static let shape = "redis://user:password@host:port/database or unix:///path?db=database"

  /// Reads `redis://[[user]:password@]host[:port][/database]` or `unix://[[user]:password@]/path[?db=database]`.
  /// User, password and path are percent-decoded.
  ///
  /// Source: the URI schemes registered for `redis`, and those of redis-py for `unix`.
  package init(url: String) throws(RedisURLError) {
    guard let separator = url.firstRange(of: "://") else {
      throw RedisURLError(found: "a text that is not a URL", expected: Self.shape)
    }
    let rest = url[separator.upperBound...]
    guard !rest.contains("#") else {
      throw RedisURLError(found: "a # in a Redis URL", expected: "%23 for a # in the password")
    }
    guard !rest.contains(where: \.isWhitespace) else {
      throw RedisURLError(
        found: "a space in a Redis URL", expected: "%20 for a space in the password or path")
    }
    switch url[..<separator.lowerBound] {
    case "redis": self = try Self.tcp(rest)
    case "unix": self = try Self.unix(rest)
    case let scheme where ["rediss", "redis+sentinel", "redis+cluster"].contains(scheme):
      throw RedisURLError(
        found: "\(scheme)://, which is not built yet", expected: "redis:// or unix://, which work today")
    default:
      throw RedisURLError(found: "an unknown kind of URL", expected: Self.shape)
    }
  }

  /// The address for people and logs: without user and password.
  package var redacted: String {
    switch endpoint {
    case .tcp(let host, let port):
      "redis://\(host.contains(":") ? "[\(host)]" : host):\(port)/\(database)"
    case .unix(let path): "unix://\(path)?db=\(database)"
    }
  }

  private static func tcp(_ rest: Substring) throws(RedisURLError) -> RedisAddress {
    guard !rest.contains("?") else {
      throw RedisURLError(
        found: "a ? in a redis:// URL", expected: "\(shape), and %3F for a ? in the password")
    }
    let slash = rest.firstIndex(of: "/") ?? rest.endIndex
    let (user, password, location) = try credentials(rest[..<slash])
    let (host, port) = try hostAndPort(location)
    return RedisAddress(
      endpoint: .tcp(host: host, port: port), username: user, password: password,
      database: try number(ofDatabase: rest[slash...].dropFirst()))
  }

  private static func unix(_ rest: Substring) throws(RedisURLError) -> RedisAddress {
    let question = rest.firstIndex(of: "?") ?? rest.endIndex
    let slash = rest[..<question].firstIndex(of: "/") ?? question
    let (user, password, location) = try credentials(rest[..<slash])
    let path = try decoded(rest[slash..<question], part: "path")
    guard location.isEmpty, path.count > 1 else {
      throw RedisURLError(
        found: "a unix:// URL without an absolute path", expected: "unix:///path?db=database")
    }
    let query = rest[question...].dropFirst()
    guard query.isEmpty || query.hasPrefix("db=") else {
      throw RedisURLError(
        found: "an unknown parameter in a unix:// URL", expected: "unix:///path?db=database")
    }
    return RedisAddress(
      endpoint: .unix(path: path), username: user, password: password,
      database: try number(ofDatabase: query.dropFirst("db=".count)))
  }

  /// Splits `[[user]:password@]location`.
  private static func credentials(
    _ authority: Substring
  ) throws(RedisURLError) -> (user: String?, password: String?, location: Substring) {
    guard let at = authority.lastIndex(of: "@") else { return (nil, nil, authority) }
    let login = authority[..<at]
    guard let colon = login.firstIndex(of: ":") else {
      throw RedisURLError(
        found: "a login without a colon", expected: ":password@ or user:password@ before the host")
    }
    let user = try decoded(login[..<colon], part: "user")
    let password = try decoded(login[login.index(after: colon)...], part: "password")
    guard !password.isEmpty else {
      throw RedisURLError(found: "an empty password", expected: ":password@, or none of it")
    }
    return (user.isEmpty ? nil : user, password, authority[authority.index(after: at)...])
  }

  private static func hostAndPort(_ location: Substring) throws(RedisURLError) -> (String, Int) {
    var host = location
    var port = 6379
    let bracket = location.lastIndex(of: "]")
    if let colon = location.lastIndex(of: ":"), bracket.map({ $0 < colon }) ?? true {
      let digits = location[location.index(after: colon)...]
      guard let number = UInt16(digits), number > 0, digits.first?.isNumber == true else {
        throw RedisURLError(
          found: "a port that is no number from 1 to 65535",
          expected: "host:port; in a password write / as %2F, : as %3A and @ as %40")
      }
      port = Int(number)
      host = location[..<colon]
    }
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      throw RedisURLError(found: "a host with a colon", expected: "brackets around an IPv6 address: [::1]")
    }
    guard !host.isEmpty else { throw RedisURLError(found: "a Redis URL without a host", expected: shape) }
    return (String(host), port)
  }

  private static func number(ofDatabase text: Substring) throws(RedisURLError) -> Int {
    if text.isEmpty { return 0 }
    guard text.allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int32(text) else {
      throw RedisURLError(
        found: "a database that is no number", expected: "\(shape), and %2F for a / in the password")
    }
    return Int(number)
  }

  private static func decoded(_ text: Substring, part: String) throws(RedisURLError) -> String {
    guard let bytes = PercentEncoding.bytes(of: text) else {
      throw RedisURLError(found: "a % in the \(part) without two digits", expected: "%25 for a % itself")
    }
    guard let decoded = String(validating: bytes, as: UTF8.self), !decoded.utf8.contains(0) else {
      throw RedisURLError(found: "a \(part) that is not UTF-8 text", expected: "UTF-8, percent-encoded")
    }
    return decoded
  }
}
