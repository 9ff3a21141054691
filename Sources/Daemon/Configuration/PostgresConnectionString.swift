import PostgresSource

extension Configuration.Source {
  /// Whether libpq takes the text: a URI, or keywords such as `host=db dbname=app`. A bare word, which libpq takes for
  /// a database's name, is not enough.
  ///
  /// Source: PostgreSQL manual, chapter 34.1.1 "Connection Strings".
  package static func isConnectionString(_ text: String) -> Bool {
    looksLikeConnectionString(text) && PostgresSourceConfiguration.isValid(connection: text)
  }

  /// As `isConnectionString`, for one server.
  static func isReplica(_ text: String) -> Bool {
    isConnectionString(text) && ReplicaAddress.isValid(connection: text)
  }

  private static func looksLikeConnectionString(_ text: String) -> Bool {
    // A bare / in a password ends it, and libpq would show the rest: the @ that follows gives it away.
    for scheme in ["postgresql://", "postgres://"] where text.hasPrefix(scheme) {
      let path = text.dropFirst(scheme.count).prefix { $0 != "?" }.drop { $0 != "/" }
      if path.contains("@") { return false }
    }
    if text.hasPrefix("postgresql://") || text.hasPrefix("postgres://") { return true }
    let keyword = text.drop(while: \.isWhitespace).prefix { $0.isASCII && ($0.isLetter || $0 == "_") }
    let next = text.drop(while: \.isWhitespace).dropFirst(keyword.count).drop(while: \.isWhitespace)
    return !keyword.isEmpty && next.first == "="
  }

  /// Where `postgres` leads, for people and logs.
  package var redacted: String { Self.redacted(postgres) }

  /// Host, port, database and user of a connection string, and nothing else of it.
  static func redacted(_ connection: String) -> String {
    for scheme in ["postgresql://", "postgres://"] where connection.hasPrefix(scheme) {
      return scheme + redactedURI(connection.dropFirst(scheme.count))
    }
    return redactedKeywords(connection)
  }

  /// What follows the last @ is host and database, whatever a password may contain. A @ behind a ? could be
  /// part of anything: then nothing is shown.
  private static func redactedURI(_ rest: Substring) -> String {
    guard let at = rest.lastIndex(of: "@") else { return String(rest.prefix { $0 != "?" }) }
    guard !rest[..<at].contains("?") else { return "..." }
    let user = rest.prefix { $0 != ":" && $0 != "@" }
    return String(user + rest[at...].prefix { $0 != "?" })
  }

  private static func redactedKeywords(_ text: String) -> String {
    var shown: [String] = []
    var rest = Substring(text)
    while let (keyword, value) = takeKeyword(&rest) {
      guard ["host", "hostaddr", "port", "dbname", "user", "service"].contains(keyword) else { continue }
      // A dbname may itself be a connection string.
      let isPlain = !value.contains("=") && !value.contains("://")
      shown.append("\(keyword)=\(isPlain ? value : "...")")
    }
    return shown.joined(separator: " ")
  }

  /// Takes `keyword = value` or `keyword = 'va\'lue'` off the front; nil at the end or at anything else.
  private static func takeKeyword(_ rest: inout Substring) -> (keyword: String, value: String)? {
    rest = rest.drop(while: \.isWhitespace)
    guard let equals = rest.firstIndex(of: "=") else { return nil }
    let keyword = rest[..<equals].filter { !$0.isWhitespace }
    rest = rest[equals...].dropFirst().drop(while: \.isWhitespace)
    let isQuoted = rest.first == "'"
    if isQuoted { rest.removeFirst() }
    var value = ""
    while let character = rest.popFirst() {
      if isQuoted ? character == "'" : character.isWhitespace { break }
      if character == "\\", let escaped = rest.popFirst() {
        value.append(escaped)
      } else {
        value.append(character)
      }
    }
    return (keyword, value)
  }
}
