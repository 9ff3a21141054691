/// Where a column's text lies in the message that carried it.
struct ColumnSlice: Equatable {
  var offset: Int32
  /// Bytes; or one of the three marks below.
  var length: Int32

  static let null = ColumnSlice(offset: 0, length: -1)
  /// An unchanged TOAST value that the message does not repeat.
  static let unchanged = ColumnSlice(offset: 0, length: -2)
  /// A value that the message does not tell.
  static let unknown = ColumnSlice(offset: 0, length: -3)

  var isNull: Bool { length == -1 }
  var isUnchanged: Bool { length == -2 }
  var isUnknown: Bool { length == -3 }
}

/// One row image: slices of the message, in the order of the relation's columns. Reused from message to message.
struct RowImage {
  private(set) var columns: [ColumnSlice] = []
  private(set) var count = 0
  /// Whether the message carried this image at all.
  private(set) var isPresent = false

  mutating func clear() {
    count = 0
    isPresent = false
  }

  mutating func begin() {
    count = 0
    isPresent = true
  }

  @inline(__always)
  mutating func append(_ slice: ColumnSlice) {
    if count < columns.count { columns[count] = slice } else { columns.append(slice) }
    count += 1
  }

  /// The column's slice; nil when the image has fewer columns.
  @inline(__always)
  func column(_ index: Int) -> ColumnSlice? { index < count ? columns[index] : nil }
}

/// The row images of one change.
struct RowImages {
  var old = RowImage()
  var new = RowImage()
  /// The old image holds only the columns of the replica identity; the others read as NULL and mean nothing.
  var oldIsKeyOnly = false
  /// The other image of this update is not known: it may be any of the statement's.
  var isUnpaired = false

  mutating func clear() {
    old.clear()
    new.clear()
    oldIsKeyOnly = false
    isUnpaired = false
  }
}
