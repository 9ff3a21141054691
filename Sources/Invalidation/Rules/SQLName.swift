/// Why a text is not the name of a table, as a phrase.
package struct SQLNameError: Error, Equatable {
  package var found: String
}

extension TableName {
  /// Reads a name as SQL does: `public.users`, `users` (schema `public`), `public."Order Items"`. Unquoted parts
  /// fold to lower case, quoted ones are exact, with `""` for a quote.
  ///
  /// Source: PostgreSQL manual, chapter 4.1.1 "Identifiers and Key Words".
  package init(sql text: String) throws(SQLNameError) {
    var rest = Substring(text)
    var parts = [try Self.takeIdentifier(&rest)]
    // Scalars, since a full stop or a quote and a combining mark after it are one Character.
    while rest.unicodeScalars.first == "." {
      rest.unicodeScalars.removeFirst()
      parts.append(try Self.takeIdentifier(&rest))
    }
    guard let next = rest.first else {
      guard parts.count <= 2 else { throw SQLNameError(found: "a name of \(parts.count) parts") }
      self.init(schema: parts.count == 2 ? parts[0] : "public", name: parts[parts.count - 1])
      return
    }
    throw SQLNameError(found: "the character \"\(next)\" outside of quotes")
  }

  private static func takeIdentifier(_ rest: inout Substring) throws(SQLNameError) -> String {
    let name = rest.unicodeScalars.first == "\"" ? try takeQuoted(&rest) : try takeUnquoted(&rest)
    guard name.utf8.count <= 63 else {
      throw SQLNameError(found: "a name of \(name.utf8.count) bytes, where PostgreSQL keeps 63")
    }
    return name
  }

  private static func takeUnquoted(_ rest: inout Substring) throws(SQLNameError) -> String {
    var name = String.UnicodeScalarView()
    while let scalar = rest.unicodeScalars.first {
      switch scalar {
      case "A"..."Z": name.append(contentsOf: scalar.properties.lowercaseMapping.unicodeScalars)
      case "a"..."z", "_", "\u{80}"...: name.append(scalar)
      case "0"..."9" where !name.isEmpty, "$" where !name.isEmpty: name.append(scalar)
      default:
        guard !name.isEmpty else {
          throw SQLNameError(found: "the character \"\(scalar)\" outside of quotes")
        }
        return String(name)
      }
      rest.unicodeScalars.removeFirst()
    }
    guard !name.isEmpty else { throw SQLNameError(found: "an empty name") }
    return String(name)
  }

  private static func takeQuoted(_ rest: inout Substring) throws(SQLNameError) -> String {
    rest.unicodeScalars.removeFirst()
    var name = String.UnicodeScalarView()
    while let scalar = rest.unicodeScalars.popFirst() {
      if scalar == "\"" {
        guard rest.unicodeScalars.first == "\"" else {
          guard !name.isEmpty else { throw SQLNameError(found: "an empty name in quotes") }
          return String(name)
        }
        rest.unicodeScalars.removeFirst()
      }
      name.append(scalar)
    }
    throw SQLNameError(found: "a quote without its end")
  }
}
