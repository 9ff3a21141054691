/// Why a text is not a key template, and where.
package struct KeyTemplateError: Error, Hashable, Sendable, CustomStringConvertible {
  package enum Problem: Hashable, Sendable {
    case empty
    /// `{` without its `}`.
    case unclosedBrace
    /// `}` without its `{`.
    case strayBrace
    /// `{` inside a placeholder.
    case nestedBrace
    /// `{}` or `{|lower}`.
    case missingColumn
    /// `{id|}`.
    case missingFunction
    case unknownFunction(String)
  }

  package var problem: Problem
  /// Bytes of UTF-8 from the start of the template to the problem.
  package var offset: Int

  package init(problem: Problem, offset: Int) {
    self.problem = problem
    self.offset = offset
  }

  /// What was found, as a phrase: "an unknown function "lowr"".
  package var found: String {
    switch problem {
    case .empty: "an empty key"
    case .unclosedBrace: "a { without its }"
    case .strayBrace: "a } without its {"
    case .nestedBrace: "a { inside of {...}"
    case .missingColumn: "no column in {...}"
    case .missingFunction: "no function after |"
    case .unknownFunction(let name): "the unknown function \"\(name)\""
    }
  }

  /// What would have been right, as a phrase.
  package var expected: String {
    let functions = KeyFunction.allCases.map(\.rawValue)
    return switch problem {
    case .empty: "a template such as user:{id}"
    case .unclosedBrace: "{column}, or {{ for a literal brace"
    case .strayBrace: "{column}, or }} for a literal brace"
    case .nestedBrace: "a column's name, or {{{column}}} for a column between literal braces"
    case .missingColumn: "the name of a column"
    case .missingFunction: "one of \(functions.joined(separator: ", "))"
    case .unknownFunction(let name):
      "one of \(functions.joined(separator: ", "))"
        + (nearestName(to: name, among: functions).map { "; the nearest is \"\($0)\"" } ?? "")
    }
  }

  package var description: String { "byte \(offset): found \(found), expected \(expected)" }
}

extension KeyTemplate {
  /// Reads a template: literal text with `{column}` or `{column|function|function}`; `{{` and `}}` are literal
  /// braces, so `cart:{{{id}}}` is a column between literal braces. A column is named as PostgreSQL stores it:
  /// case kept, no quotes, spaces and all.
  package init(parsing text: String) throws(KeyTemplateError) {
    var parser = KeyTemplateParser(text)
    self.init(text: text, segments: try parser.segments())
  }
}

/// Goes through a template's bytes once. Every byte that it looks for is ASCII, so it never splits a character.
private struct KeyTemplateParser {
  private let bytes: [UInt8]
  private var position = 0

  init(_ text: String) { bytes = Array(text.utf8) }

  mutating func segments() throws(KeyTemplateError) -> [KeyTemplate.Segment] {
    guard !bytes.isEmpty else { throw KeyTemplateError(problem: .empty, offset: 0) }
    var segments: [KeyTemplate.Segment] = []
    var literal: [UInt8] = []
    while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: "{") where next == UInt8(ascii: "{"),
        UInt8(ascii: "}") where next == UInt8(ascii: "}"):
        literal.append(bytes[position])
        position += 2
      case UInt8(ascii: "}"):
        throw KeyTemplateError(problem: .strayBrace, offset: position)
      case UInt8(ascii: "{"):
        if !literal.isEmpty { segments.append(.literal(literal)) }
        literal = []
        segments.append(try placeholder())
      default:
        literal.append(bytes[position])
        position += 1
      }
    }
    if !literal.isEmpty { segments.append(.literal(literal)) }
    return segments
  }

  private var next: UInt8? { position + 1 < bytes.count ? bytes[position + 1] : nil }

  /// From `{` to the first `}`.
  private mutating func placeholder() throws(KeyTemplateError) -> KeyTemplate.Segment {
    let start = position + 1
    guard let end = bytes[start...].firstIndex(of: UInt8(ascii: "}")) else {
      throw KeyTemplateError(problem: .unclosedBrace, offset: position)
    }
    if let nested = bytes[start..<end].firstIndex(of: UInt8(ascii: "{")) {
      throw KeyTemplateError(problem: .nestedBrace, offset: nested)
    }
    let parts = bytes[start..<end].split(separator: UInt8(ascii: "|"), omittingEmptySubsequences: false)
    guard let column = parts.first, !column.isEmpty else {
      throw KeyTemplateError(problem: .missingColumn, offset: start)
    }
    var functions: [KeyFunction] = []
    for part in parts.dropFirst() {
      guard !part.isEmpty else {
        throw KeyTemplateError(problem: .missingFunction, offset: part.startIndex)
      }
      let name = String(decoding: part, as: UTF8.self)
      guard let function = KeyFunction(rawValue: name) else {
        throw KeyTemplateError(problem: .unknownFunction(name), offset: part.startIndex)
      }
      functions.append(function)
    }
    position = end + 1
    return .column(String(decoding: column, as: UTF8.self), functions)
  }
}
