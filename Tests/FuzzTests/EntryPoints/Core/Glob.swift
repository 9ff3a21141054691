/// Redis's glob patterns, as far as cdcd writes them: `*`, and `\` before what stands for itself.
///
/// Source: `stringmatchlen` in Redis's util.c.
enum Glob {
  static func matches(_ pattern: [UInt8], _ text: [UInt8]) -> Bool {
    var (at, position) = (0, 0)
    // Where the last star stands, and where what it covers ends.
    var star: (at: Int, position: Int)?
    while position < text.count {
      if at < pattern.count, pattern[at] == UInt8(ascii: "*") {
        star = (at, position)
        at += 1
        continue
      }
      let isEscaped = at + 1 < pattern.count && pattern[at] == UInt8(ascii: "\\")
      let literal = isEscaped ? at + 1 : at
      if literal < pattern.count, pattern[literal] == text[position] {
        at = literal + 1
        position += 1
      } else if let last = star {
        star = (last.at, last.position + 1)
        (at, position) = (last.at + 1, last.position + 1)
      } else {
        return false
      }
    }
    return pattern[at...].allSatisfy { $0 == UInt8(ascii: "*") }
  }
}
