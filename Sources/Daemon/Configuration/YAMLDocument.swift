import Yams

/// The one document of a YAML file, as nodes with their places.
struct YAMLDocument {
  struct SyntaxError: Error {
    var place: Place?
    var found: String
    var expected: String
  }

  /// Nil for a file without content.
  let root: Node?

  /// - Throws: `SyntaxError`, without any of the text but keys: the rest may be a secret.
  init(_ text: String) throws(SyntaxError) {
    try YAMLExtent.check(text)
    do {
      root = try compose(yaml: text, .basic, .default, .utf8)
    } catch let error as YamlError {
      throw Self.syntaxError(error, in: text)
    } catch {
      throw SyntaxError(place: nil, found: "a text that cannot be parsed", expected: "YAML")
    }
  }

  private static func syntaxError(_ error: YamlError, in text: String) -> SyntaxError {
    switch error {
    case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
      .composer(let context, let problem, let mark, _):
      let context = context.map { "\($0.text), " } ?? ""
      return SyntaxError(place: Place(mark), found: "a syntax error (\(context)\(problem))", expected: "YAML")
    case .duplicatedKeysInMapping(let keys, let context):
      let key = keys.first ?? ""
      let first = Place(context.mark)
      return SyntaxError(
        place: repetition(of: key, after: first, in: text) ?? first,
        found: "the key \(shown(key)) a second time in one mapping",
        expected: "each key once: the first is at line \(first.line)")
    case .reader(let problem, _, _, _):
      return SyntaxError(
        place: nil, found: "a character that YAML does not allow (\(problem))", expected: "YAML")
    default:
      return SyntaxError(place: nil, found: "a text that cannot be parsed", expected: "YAML")
    }
  }

  /// Where a block mapping repeats a key: the parser only tells the place of the first.
  private static func repetition(of key: String, after first: Place, in text: String) -> Place? {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard first.line < lines.count else { return nil }
    for (index, line) in lines.enumerated().dropFirst(first.line) {
      let indentation = line.prefix { $0 == " " }.count
      let rest = line.dropFirst(indentation)
      if rest.isEmpty || rest.hasPrefix("#") { continue }
      guard indentation + 1 >= first.column else { return nil }
      if indentation + 1 == first.column, rest.hasPrefix("\(key):") {
        return Place(line: index + 1, column: first.column)
      }
    }
    return nil
  }
}

extension Place {
  init(_ mark: Mark) { self.init(line: mark.line, column: mark.column) }
}

extension Node {
  var place: Place? { mark.map { Place($0) } }

  /// What kind of thing it is, as a phrase without its content.
  var kind: String {
    switch self {
    case .mapping: "a mapping"
    case .sequence: "a list"
    case .alias: "an alias"
    case .scalar(let scalar): scalar.isNull ? "nothing" : "a text"
    }
  }
}

extension Node.Scalar {
  var isPlain: Bool { style == .plain }

  /// Unquoted `null`, `~` or nothing.
  ///
  /// Source: YAML 1.2.2, chapter 10.3.2 "Core Schema: Tag Resolution".
  var isNull: Bool { isPlain && ["", "~", "null", "Null", "NULL"].contains(string) }
}
