/// Replaces `${NAME}`, `${NAME:-default}` and `${file:/path}` in a scalar of the rules file. They nest:
/// `${file:${CREDENTIALS_DIRECTORY}/redis}`.
struct Expansion {
  /// What came out, and what of it may be shown.
  struct Result {
    var value: String
    /// The variables and files that went into it, as written but without defaults: `${NAME}`. Empty when
    /// nothing was expanded.
    var sources: [String]
  }

  struct Failure: Error {
    /// Unicode scalars from the start of the text.
    var offset: Int
    var found: String
    var expected: String
  }

  private let environment: [String: String]
  private let text: [Unicode.Scalar]
  private var position = 0
  private var depth = 0
  private var sources: [String] = []

  private static let deepest = 16

  /// - Throws: `Failure` for a missing variable or file, with nothing of any value in it.
  static func expand(_ text: String, environment: [String: String]) throws(Failure) -> Result {
    var expansion = Expansion(text, environment: environment)
    let value = try expansion.run(inBraces: false)
    return Result(value: value, sources: expansion.sources)
  }

  private init(_ text: String, environment: [String: String]) {
    self.environment = environment
    self.text = Array(text.unicodeScalars)
  }

  private func starts(_ prefix: String) -> Bool { text[position...].starts(with: prefix.unicodeScalars) }

  /// Up to the end, or up to the `}` of the reference that this text is part of.
  private mutating func run(inBraces: Bool) throws(Failure) -> String {
    var value = String.UnicodeScalarView()
    while position < text.count {
      if inBraces, text[position] == "}" { break }
      if starts("${") {
        value.append(contentsOf: try reference().unicodeScalars)
      } else {
        value.append(text[position])
        position += 1
      }
    }
    return String(value)
  }

  /// From `${` to its `}`.
  private mutating func reference() throws(Failure) -> String {
    let start = position
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.deepest else {
      throw Failure(
        offset: start, found: "a ${ inside of \(Self.deepest) others",
        expected: "fewer, one inside of the other")
    }
    position += 2
    let value = starts("file:") ? try file(at: start) : try variable(at: start)
    guard position < text.count else {
      throw Failure(
        offset: start, found: "a ${ without its }", expected: "${NAME}, ${NAME:-default} or ${file:/path}")
    }
    position += 1
    return value
  }

  private mutating func variable(at start: Int) throws(Failure) -> String {
    let nameStart = position
    while position < text.count, text[position].isNameCharacter { position += 1 }
    let name = String(String.UnicodeScalarView(text[nameStart..<position]))
    guard let first = name.unicodeScalars.first, !("0"..."9").contains(first) else {
      throw Failure(
        offset: start, found: "a ${ without the name of a variable",
        expected: "${NAME}, ${NAME:-default} or ${file:/path}")
    }
    sources.append("${\(name)}")
    let value = environment[name]
    if starts(":-") {
      position += 2
      let outer = sources
      let fallback = try defaultText(isNeeded: value?.isEmpty ?? true)
      guard let value, !value.isEmpty else { return fallback }
      sources = outer
      return value
    }
    guard position == text.count || text[position] == "}" else {
      throw Failure(
        offset: position, found: "\"\(text[position])\" in the name of a variable",
        expected: "${NAME}, ${NAME:-default} or ${file:/path}")
    }
    guard let value else {
      throw Failure(
        offset: start, found: "${\(name)}, which is not in the environment",
        expected: "the variable \(name) to be set, or ${\(name):-default}")
    }
    return value
  }

  /// The text after `:-`. One that is not needed is skipped, and what it refers to need not exist.
  private mutating func defaultText(isNeeded: Bool) throws(Failure) -> String {
    if isNeeded { return try run(inBraces: true) }
    var depth = 0
    while position < text.count {
      if text[position] == "}" {
        if depth == 0 { break }
        depth -= 1
      } else if starts("${") {
        depth += 1
        position += 1
      }
      position += 1
    }
    return ""
  }

  private mutating func file(at start: Int) throws(Failure) -> String {
    position += "file:".unicodeScalars.count
    let pathStart = position
    let path = try run(inBraces: true)
    let written = String(String.UnicodeScalarView(text[pathStart..<position]))
    guard path.hasPrefix("/") else {
      throw Failure(
        offset: start, found: "${file:\(written)}, which is not an absolute path", expected: "${file:/path}")
    }
    sources.append("${file:\(written)}")
    do {
      var content = try readTextFile(path)
      if content.last == "\n" || content.last == "\r\n" { content.removeLast() }
      return content
    } catch {
      throw Failure(
        offset: start, found: "${file:\(written)}, which cannot be read: \(error.reason)",
        expected: "a UTF-8 text file that cdcd may read")
    }
  }
}

extension Unicode.Scalar {
  /// Whether it may be part of an environment variable's name.
  fileprivate var isNameCharacter: Bool {
    switch self {
    case "A"..."Z", "a"..."z", "0"..."9", "_": true
    default: false
    }
  }
}
