/// A key's shape: literal bytes and columns, `user:{id}:{email|lower}`.
package struct KeyTemplate: Hashable, Sendable {
  package enum Segment: Hashable, Sendable {
    case literal([UInt8])
    case column(String, [KeyFunction])
  }

  /// As the user wrote it.
  package var text: String
  package var segments: [Segment]

  package init(text: String, segments: [Segment]) {
    self.text = text
    self.segments = segments
  }

  /// The columns it reads, in order, repetitions included.
  package var columns: [String] {
    segments.compactMap { segment in
      if case .column(let name, _) = segment { name } else { nil }
    }
  }
}

/// What a template may do to a column's text: `{email|lower}`.
package enum KeyFunction: String, Hashable, Sendable, CaseIterable {
  case lower, upper, trim, url, md5, sha1, sha256
}

extension KeyTemplate {
  /// The glob pattern that covers every key of this template: literals escaped, each column `*`. Nil when the
  /// template does not begin with a literal, since its pattern would cover keys of others.
  package var flushPattern: [UInt8]? {
    guard case .literal(let prefix)? = segments.first, !prefix.isEmpty else { return nil }
    return glob
  }

  /// The glob pattern that covers every key of this template, whatever it begins with.
  var glob: [UInt8] {
    var pattern: [UInt8] = []
    for segment in segments {
      switch segment {
      case .literal(let bytes): pattern += KeyTemplate.globEscaped(bytes)
      case .column: pattern.append(UInt8(ascii: "*"))
      }
    }
    return pattern
  }

  /// The bytes as a Redis glob pattern that matches exactly them.
  ///
  /// Source: Redis manual, KEYS; `stringmatchlen` in Redis's util.c.
  package static func globEscaped(_ bytes: [UInt8]) -> [UInt8] {
    var escaped: [UInt8] = []
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "\\"):
        escaped.append(UInt8(ascii: "\\"))
      default: break
      }
      escaped.append(byte)
    }
    return escaped
  }
}
