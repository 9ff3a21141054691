/// A rules file that cannot be used: everything that is wrong with it, in the order of the file.
package struct ConfigurationError: Error, Equatable, CustomStringConvertible {
  /// One thing that is wrong, where, and what would have been right. Holds no secret: an expanded value or a
  /// URL is never part of it.
  package struct Problem: Equatable, Sendable, CustomStringConvertible {
    package var file: String
    /// Nil when the problem is the file as a whole.
    package var place: Place?
    package var found: String
    package var expected: String

    /// The place, and what was found there.
    package var subject: String {
      let place = place.map { ":\($0.line):\($0.column)" } ?? ""
      return "\(file)\(place): found \(found)"
    }

    package var description: String { "\(subject), expected \(expected)" }
  }

  package var problems: [Problem]

  /// A line for each problem: `rules.yaml:3:5: found ..., expected ...`.
  package var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// A place in a file as editors count: the first character of a file is at line 1, column 1. A column is a
/// Unicode scalar.
package struct Place: Hashable, Comparable, Sendable {
  package var line: Int
  package var column: Int

  package init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }

  package static func < (left: Place, right: Place) -> Bool {
    (left.line, left.column) < (right.line, right.column)
  }
}
