package import Invalidation

/// A blocking session for one-shot commands (`cdcd setup`, `cdcd check`): connect, ask, leave.
///
/// Not for the event loop, which never waits: see `QueryConnection`.
package final class CatalogSession {
  let connection: LibpqConnection

  /// Connects to what `connection`, any libpq URI or keyword string, names, within 10 seconds for each of its hosts.
  package init(connection: String) throws(SourceFailure) {
    var parameters = try ConnectionParameters(connection)
    parameters.set("client_encoding", "UTF8")
    parameters.setDefault("fallback_application_name", "cdcd")
    self.connection = try LibpqConnection.connecting(toOneOf: parameters.hosts)
  }

  /// Runs one statement, whose `$1`, `$2`, ... are `parameters`, and returns each row's values in text form.
  package func rows(_ sql: String, _ parameters: [String?] = []) throws(CatalogError) -> [[String?]] {
    try connection.run(sql, parameters)
  }

  /// Runs one or several statements without parameters, all in one transaction.
  package func execute(_ sql: String) throws(CatalogError) { try connection.run(script: sql) }

  /// 150020 for 15.20.
  package var serverVersion: Int { Int(connection.serverVersion) }

  /// A name as SQL writes it: `"Name"`.
  ///
  /// Source: PostgreSQL manual, chapter 4.1.1 "Identifiers and Key Words".
  package static func quoted(identifier name: String) -> String { quote(name, with: "\"") }

  /// A text as SQL writes it, `'it''s'`, also where standard_conforming_strings is off: a backslash makes it
  /// an escape string, `E'a\\b'`.
  ///
  /// Source: PostgreSQL manual, chapter 4.1.2 "Constants".
  package static func quoted(literal text: String) -> String {
    guard text.unicodeScalars.contains("\\") else { return quote(text, with: "'") }
    let escaped = text.unicodeScalars.flatMap { $0 == "\\" ? ["\\", "\\"] : [$0] }
    return "E" + quote(String(String.UnicodeScalarView(escaped)), with: "'")
  }

  /// Looks at scalars, since a quote and a combining mark after it are one Character.
  private static func quote(_ text: String, with mark: Unicode.Scalar) -> String {
    var quoted = String.UnicodeScalarView([mark])
    for scalar in text.unicodeScalars {
      if scalar == mark { quoted.append(mark) }
      quoted.append(scalar)
    }
    quoted.append(mark)
    return String(quoted)
  }
}
