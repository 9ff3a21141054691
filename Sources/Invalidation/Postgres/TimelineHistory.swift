/// Where the WAL of a server's earlier timelines ended: what PostgreSQL writes down at each promotion.
///
/// A line for each, oldest first: its number, the position where the next one began, and why, parted by white space.
/// A line that begins with `#` is a comment.
///
/// Source: PostgreSQL manual, chapter 26.3.6 "Timelines", and TIMELINE_HISTORY in chapter 54.4.
package struct TimelineHistory: Sendable, Equatable {
  private var ends: [UInt32: LSN] = [:]

  /// That of a first timeline.
  package init() {}

  /// Nil when the text is not such a file: then nothing is known.
  package init?(_ text: String) {
    for line in text.split(whereSeparator: \.isNewline) {
      let words = line.split(whereSeparator: \.isWhitespace)
      guard let first = words.first, first.first != "#" else { continue }
      guard words.count >= 2, let timeline = UInt32(first), let end = LSN(words[1]) else { return nil }
      ends[timeline] = end
    }
  }

  /// The position up to which the server's WAL is that of the timeline; nil for one that it does not come from, and for
  /// its present one.
  package func end(of timeline: UInt32) -> LSN? { ends[timeline] }
}
