/// Lines of 80 columns, with names at the left of some.
struct StatusLayout {
  private static let width = 80
  /// Of the names.
  private static let nameWidth = 12

  private(set) var lines: [String] = []

  mutating func addBlank() { lines.append("") }

  /// A text beside its name, which only the first line has.
  mutating func add(_ name: String, _ text: String) {
    for (number, line) in Self.wrapped(text, to: Self.width - Self.nameWidth).enumerated() {
      append((number == 0 ? name : "").padded(to: Self.nameWidth) + line)
    }
  }

  /// A text whose further lines are indented by two more.
  mutating func add(_ text: String, indentedBy indentation: Int = 0) {
    for (number, line) in Self.wrapped(text, to: Self.width - indentation - 2).enumerated() {
      append(String(repeating: " ", count: indentation + (number == 0 ? 0 : 2)) + line)
    }
  }

  private mutating func append(_ line: String) {
    let end = line.lastIndex { $0 != " " }
    lines.append(end.map { String(line[...$0]) } ?? "")
  }

  /// Broken at blanks. A word that is longer than a line, as an address, has one of its own.
  private static func wrapped(_ text: String, to width: Int) -> [String] {
    guard text.count > width else { return [text] }
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
      if line.isEmpty {
        line = String(word)
      } else if line.count + 1 + word.count <= width {
        line += " " + word
      } else {
        lines.append(line)
        line = String(word)
      }
    }
    return lines + [line]
  }
}

extension String {
  /// With blanks behind it, up to so many characters.
  func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }

  /// With blanks before it.
  func paddedLeft(to width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}
