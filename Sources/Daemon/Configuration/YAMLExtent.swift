import CYaml

/// How much a document stands for, and how deep it is, with every alias replaced by what it stands for. Yams replaces them
/// while it composes, and goes through the result with recursion: a few lines could mean a billion values, or levels
/// beyond what the stack holds.
struct YAMLExtent {
  /// In bytes; a file has a mebibyte at most, so that without aliases it is never too large.
  private static let largest = 4 << 20
  private static let deepest = 64

  private struct Extent {
    var size = 1
    var depth = 0

    mutating func add(_ child: Extent) {
      size += child.size
      depth = max(depth, child.depth + 1)
    }
  }

  /// The collections that are open, the innermost last, and their anchors; the first is the document.
  private var open: [(extent: Extent, anchor: String?)] = [(Extent(), nil)]
  private var anchors: [String: Extent] = [:]

  /// Throws what is too much and where. Says nothing of a text that is no YAML: the parser explains that.
  static func check(_ text: String) throws(YAMLDocument.SyntaxError) {
    guard let (place, found) = excess(of: Array(text.utf8)) else { return }
    throw YAMLDocument.SyntaxError(place: place, found: found, expected: "less of it")
  }

  private static func excess(of bytes: [UInt8]) -> (Place, found: String)? {
    var parser = unsafe yaml_parser_t()
    guard unsafe yaml_parser_initialize(&parser) == 1 else { return nil }
    defer { unsafe yaml_parser_delete(&parser) }
    var extent = YAMLExtent()
    return unsafe bytes.withUnsafeBufferPointer { bytes in
      unsafe yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING)
      unsafe yaml_parser_set_input_string(&parser, bytes.baseAddress, bytes.count)
      while true {
        var event = unsafe yaml_event_t()
        guard unsafe yaml_parser_parse(&parser, &event) == 1 else { return nil }
        defer { unsafe yaml_event_delete(&event) }
        guard unsafe event.type != YAML_STREAM_END_EVENT else { return nil }
        unsafe extent.take(event)
        guard let found = extent.excess else { continue }
        return unsafe (Place(line: event.start_mark.line + 1, column: event.start_mark.column + 1), found)
      }
    }
  }

  /// What is too much by now, as a phrase.
  private var excess: String? {
    guard let last = open.last?.extent else { return nil }
    if open.count + last.depth > Self.deepest { return "a nesting of more than \(Self.deepest) levels" }
    return last.size > Self.largest ? "aliases that stand for more than \(Self.largest >> 20) MiB" : nil
  }

  private mutating func take(_ event: yaml_event_t) {
    switch unsafe event.type {
    case YAML_SCALAR_EVENT:
      let length = unsafe event.data.scalar.length
      unsafe add(Extent(size: 1 + length), anchor: Self.text(event.data.scalar.anchor))
    case YAML_ALIAS_EVENT:
      add(unsafe Self.text(event.data.alias.anchor).flatMap { anchors[$0] } ?? Extent(), anchor: nil)
    case YAML_SEQUENCE_START_EVENT:
      unsafe open.append((Extent(), Self.text(event.data.sequence_start.anchor)))
    case YAML_MAPPING_START_EVENT:
      unsafe open.append((Extent(), Self.text(event.data.mapping_start.anchor)))
    case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
      let ended = open.removeLast()
      add(ended.extent, anchor: ended.anchor)
    default: break
    }
  }

  private mutating func add(_ child: Extent, anchor: String?) {
    if let anchor { anchors[anchor] = child }
    open[open.count - 1].extent.add(child)
  }

  private static func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
    unsafe pointer.map { unsafe String(cString: $0) }
  }
}
