import Invalidation
import Yams

/// Takes values out of YAML nodes and gathers everything that is wrong on the way, so that one run tells all.
///
/// Its methods return nil exactly when they have recorded a problem, or when there was no node to read.
struct ConfigurationReader {
  let file: String
  let environment: [String: String]
  private let lines: [Substring]
  private(set) var problems: [ConfigurationError.Problem] = []

  init(file: String, text: String, environment: [String: String]) {
    self.file = file
    self.environment = environment
    self.lines = text.split(separator: "\n", omittingEmptySubsequences: false)
  }

  /// More than these are told by none: what follows is not read.
  private static let mostProblems = 100
  private var isHopeless: Bool { problems.count > Self.mostProblems }

  mutating func problem(_ found: String, expected: String, at place: Place?) {
    guard !isHopeless else { return }
    guard problems.count < Self.mostProblems else {
      return problems.append(
        ConfigurationError.Problem(
          file: file, place: nil, found: "more than \(Self.mostProblems) problems",
          expected: "a rules file; the first of them are"))
    }
    problems.append(ConfigurationError.Problem(file: file, place: place, found: found, expected: expected))
  }

  // MARK: - Mappings and lists

  /// The values of a mapping by key. Unknown, repeated and missing keys are problems.
  mutating func fields(of node: Node?, of what: String, known: [String], required: [String] = []) -> [String:
    Node]?
  {
    guard let node, !isHopeless else { return nil }
    guard case .mapping(let mapping) = node else {
      problem(node.kind, expected: "a mapping with the keys of \(what)", at: node.place)
      return nil
    }
    refuseTag(mapping.tag, implicit: .map, at: node.place)
    var fields: [String: Node] = [:]
    for (key, value) in mapping {
      guard case .scalar(let scalar) = key, known.contains(scalar.string) else {
        if !isHopeless { unknownKey(key, of: what, known: known) }
        continue
      }
      if fields.updateValue(value, forKey: scalar.string) != nil {
        problem("the key \"\(scalar.string)\" a second time", expected: "each key once", at: key.place)
      }
    }
    for name in required where fields[name] == nil {
      problem("no key \"\(name)\" in \(what)", expected: "\(name)", at: node.place)
    }
    return fields
  }

  private mutating func unknownKey(_ key: Node, of what: String, known: [String]) {
    guard case .scalar(let scalar) = key else {
      problem(key.kind, expected: "a key of \(what): \(known.joined(separator: ", "))", at: key.place)
      return
    }
    let nearest = nearestName(to: scalar.string, among: known).map { "; the nearest is \"\($0)\"" } ?? ""
    problem(
      "an unknown key, \(shown(scalar.string))",
      expected: "one of \(known.joined(separator: ", "))\(nearest)", at: key.place)
  }

  /// The entries of a list.
  mutating func list(_ node: Node?, of what: String, mayBeEmpty: Bool = false) -> [Node]? {
    guard let node, !isHopeless else { return nil }
    guard case .sequence(let sequence) = node else {
      problem(node.kind, expected: "a list of \(what)", at: node.place)
      return nil
    }
    refuseTag(sequence.tag, implicit: .seq, at: node.place)
    guard mayBeEmpty || !sequence.isEmpty else {
      problem("an empty list", expected: "a list of \(what)", at: node.place)
      return nil
    }
    return Array(sequence)
  }

  // MARK: - Scalars

  /// A scalar's text after expansion, with what may be told of it.
  struct Text {
    var value: String
    var place: Place?
    /// How an error names it: never an expanded value.
    var shown: String
    fileprivate var isVerbatim: Bool
  }

  /// A scalar as it is written: in `rules`, where nothing is expanded.
  mutating func literal(_ node: Node, expected: String) -> Text? {
    guard !isHopeless else { return nil }
    guard case .scalar(let scalar) = node, !scalar.isNull else {
      problem(node.kind, expected: expected, at: node.place)
      return nil
    }
    refuseTag(scalar.tag, implicit: .str, at: node.place)
    guard !scalar.string.utf8.contains(0) else {
      problem("a NUL character", expected: expected, at: node.place)
      return nil
    }
    return Text(value: scalar.string, place: node.place, shown: shown(scalar.string), isVerbatim: true)
  }

  /// A scalar with `${...}` expanded.
  mutating func text(_ node: Node?, expected: String) -> Text? {
    guard let node, var text = literal(node, expected: expected) else { return nil }
    do {
      let expansion = try Expansion.expand(text.value, environment: environment)
      guard !expansion.sources.isEmpty else { return text }
      let sources = expansion.sources.joined(separator: ", ")
      text.shown = expansion.value.isEmpty ? "nothing in \(sources)" : "the value of \(sources)"
      text.value = expansion.value
      text.isVerbatim = false
      guard !text.value.utf8.contains(0) else {
        problem("a NUL character in \(text.shown)", expected: expected, at: text.place)
        return nil
      }
      return text
    } catch {
      let bytes = String(String.UnicodeScalarView(text.value.unicodeScalars.prefix(error.offset))).utf8.count
      problem(error.found, expected: error.expected, at: place(in: text, offset: bytes))
      return nil
    }
  }

  /// A scalar that `parse` turns into a value; it answers nil for what is not `expected`.
  mutating func value<Value>(_ node: Node?, expected: String, _ parse: (String) -> Value?) -> Value? {
    guard let text = text(node, expected: expected) else { return nil }
    guard let value = parse(text.value) else {
      problem(text.shown, expected: expected, at: text.place)
      return nil
    }
    return value
  }

  /// One of an enumeration's raw values.
  mutating func choice<Choice>(_ node: Node?, of choices: [Choice] = Array(Choice.allCases)) -> Choice?
  where Choice: CaseIterable & RawRepresentable<String> {
    let names = choices.map(\.rawValue)
    guard let text = text(node, expected: "one of \(names.joined(separator: ", "))") else { return nil }
    guard let choice = choices.first(where: { $0.rawValue == text.value }) else {
      let nearest = nearestName(to: text.value, among: names).map { "; the nearest is \"\($0)\"" } ?? ""
      problem(text.shown, expected: "one of \(names.joined(separator: ", "))\(nearest)", at: text.place)
      return nil
    }
    return choice
  }

  mutating func boolean(_ node: Node?) -> Bool? {
    value(node, expected: "true or false") { ["true": true, "false": false][$0] }
  }

  /// The place of a byte of the text, where the file shows the text as it is; else where the scalar starts.
  func place(in text: Text, offset: Int) -> Place? {
    guard text.isVerbatim, var place = text.place, place.line <= lines.count else { return text.place }
    let scalars = lines[place.line - 1].unicodeScalars.dropFirst(place.column - 1)
    let isQuoted = scalars.first == "\"" || scalars.first == "'"
    let written = isQuoted ? scalars.dropFirst() : scalars
    guard let verbatim = literalPrefix(of: text, upTo: offset), written.starts(with: verbatim) else {
      return text.place
    }
    place.column += verbatim.count + (isQuoted ? 1 : 0)
    return place
  }

  private func literalPrefix(of text: Text, upTo offset: Int) -> [Unicode.Scalar]? {
    let prefix = text.value.utf8.prefix(offset)
    return String(validating: prefix, as: UTF8.self).map { Array($0.unicodeScalars) }
  }

  private mutating func refuseTag(_ tag: Tag, implicit: Tag.Name, at place: Place?) {
    guard tag.description != "", tag.description != implicit.rawValue else { return }
    problem("a tag", expected: "none", at: place)
  }
}

/// A text of the file for an error: short, and hidden where it might hold a password.
func shown(_ text: String) -> String {
  let suspicious = ["://", "@", "=", "passw", "secret"]
  let lowercased = text.lowercased()
  guard text.count <= 60, !suspicious.contains(where: { lowercased.contains($0) }) else {
    return "a text of \(text.count) characters"
  }
  return text.isEmpty ? "an empty text" : "\"\(text)\""
}
