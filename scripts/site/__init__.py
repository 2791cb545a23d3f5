"""The site: every reference capture as a page, the notes, what a kernel does, and a page that annotates one's own.

Only files: any web server will do, with the strictest of policies, and but for dropped captures no server at all. All
links are relative, nothing comes from elsewhere.
"""
